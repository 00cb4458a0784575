"""What the machine gives a process: cores, threads, memory."""

import os
import sys
from pathlib import Path


def count_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_peak_memory_mb() -> float:
    """Returns the largest resident memory this process has had, in MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def count_oom_kills() -> int:
    """Returns how many processes the system has killed for want of memory, as far as it tells."""
    for path, key in (*_memory_events(), (Path("/proc/vmstat"), "oom_kill")):
        try:
            lines = path.read_text("ascii").splitlines()
        except OSError:
            continue
        found = [int(line.split()[1]) for line in lines if line.split()[:1] == [key]]
        if found:
            return found[0]
    return 0


def _memory_events() -> list[tuple[Path, str]]:
    """The file in which this process's control group counts them."""
    try:
        groups = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return []
    own = [line.removeprefix("0::/") for line in groups if line.startswith("0::/")]
    return [(Path("/sys/fs/cgroup") / group / "memory.events", "oom_kill") for group in own]


def use_gpu(gpu: str) -> None:
    """Leaves this process one GPU, and of that no more memory than it needs.

    To be called before a backend touches a device.

    Args:
        gpu: its number or UUID, as ``CUDA_VISIBLE_DEVICES`` has it.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


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
