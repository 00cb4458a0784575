"""Divides the time of a training between what it was spent on."""

import time
from collections import defaultdict
from enum import StrEnum


class Activity(StrEnum):
    """What a trial's process does at a moment."""

    BUILD = "build"
    COMPILE = "compile"
    TRAIN = "train"
    EVALUATE = "evaluate"
    CHECKPOINT = "checkpoint"
    LOG = "log"


class Stopwatch:
    """Attributes each moment since its creation to exactly one activity, at first building."""

    def __init__(self) -> None:
        self._activity, self._since = Activity.BUILD, time.monotonic()
        self._seconds = defaultdict[Activity, float](float)

    def start(self, activity: Activity) -> None:
        """Ends the current activity and starts another one."""
        now = time.monotonic()
        self._seconds[self._activity] += now - self._since
        self._activity, self._since = activity, now

    def take(self) -> dict[str, float]:
        """Returns the seconds of each activity since the last call."""
        self.start(self._activity)
        taken = {activity.value: seconds for activity, seconds in self._seconds.items()}
        self._seconds.clear()
        return taken
