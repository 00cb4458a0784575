"""Small tools that know nothing of networks: units, files, YAML, hardware, child processes."""
