"""Reports: what a search found.

What enters is a run's records; what leaves are tables and a plot for the terminal (:mod:`.tables`),
a self-contained HTML or Markdown report (:mod:`.report`), and a comparison of runs
(:mod:`.comparison`).
"""
