"""What the machine gives a process: cores, threads, memory."""

import os
import sys


def cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_mb() -> float:
    """Returns the largest resident memory this process has had, in MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def limit_threads(threads: int) -> None:
    """Gives the backend so many threads; without effect once it has computed something.

    Args:
        threads: that one operation may use, and operations side by side.
    """
    import keras

    os.environ["NPROC"] = str(threads)  # XLA's thread pool
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # the context is made: too late
        return
