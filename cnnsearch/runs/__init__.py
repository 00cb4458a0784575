"""A run on disk: its folder, database, lock and manifest; and its copy in MLflow (``mlflow/``).

Enters: the manifest and the events of the engine and the studies. Leaves: records of trials and
events for everything that resumes, reports, exports or lists runs.
"""
