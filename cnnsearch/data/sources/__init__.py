"""Where labelled images come from: one module a kind of source, and how files are read."""
