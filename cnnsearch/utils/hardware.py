"""Cores, threads, memory and GPUs of this process."""

import os
import sys
from pathlib import Path


def count_cores() -> int:
    """Returns the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_peak_memory_mb() -> float:
    """Returns the peak resident memory of this process, in MiB."""
    import resource  # psutil has the peak on Windows only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def count_oom_kills() -> int:
    """Returns the number of out-of-memory kills in this control group, or else on this machine."""
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
    """Returns the file in which this process's control group counts them."""
    try:
        groups = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return []
    own = [line.removeprefix("0::/") for line in groups if line.startswith("0::/")]
    return [(Path("/sys/fs/cgroup") / group / "memory.events", "oom_kill") for group in own]


def use_gpu(gpu: str) -> None:
    """Restricts this process to one GPU, whose memory it allocates as needed.

    Call it before the backend touches a device.

    Args:
        gpu: a number or UUID as in ``CUDA_VISIBLE_DEVICES``.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


def get_thread_limit() -> int:
    """Returns the threads that :func:`limit_threads` left this process; else its cores."""
    return int(os.environ.get("NPROC") or count_cores())


def limit_threads(threads: int, branches: int = 1) -> None:
    """Limits the backend's threads; has no effect once it has computed something.

    Args:
        threads: the maximum, of all operations that run at the same time.
        branches: of a training step that are to run side by side: they share the threads.
    """
    import keras

    os.environ["NPROC"] = str(threads)  # XLA's thread pool
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(max(1, threads // branches))
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # TensorFlow's context exists already: too late
        return
