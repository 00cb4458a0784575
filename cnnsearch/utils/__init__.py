"""Helpers that know nothing of networks: units, atomic files, YAML, hardware, child processes."""
