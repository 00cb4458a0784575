"""The search loop: settings, driver, retries, disk quota, executors and what is displayed."""
