"""A run on disk: its directory, database, lock and manifest; and its projection into MLflow."""
