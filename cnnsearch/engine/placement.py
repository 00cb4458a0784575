"""Where a run's trials are trained: worker slots, GPUs, executor. Results do not depend on it."""

from cnnsearch.engine.executors import Executor, InProcessExecutor, ProcessExecutor
from cnnsearch.engine.options import Placement
from cnnsearch.errors import CnnsearchError
from cnnsearch.utils import environment


def find_gpus(text: str | None) -> tuple[str, ...]:
    """Returns the GPUs that ``0-3``, ``0,2`` or ``all`` name, as CUDA_VISIBLE_DEVICES has them.

    Numbers count those that this process sees, from 0.

    Raises:
        CnnsearchError: it is malformed, or names a GPU twice or one that does not exist.
    """
    if text is None:
        return ()
    there = environment.list_gpu_ids()
    numbers = list(range(len(there))) if text.strip() == "all" else _parse_numbers(text)
    if not there:
        raise CnnsearchError(f"--gpus {text}: this machine shows no GPU (nvidia-smi lists none)")
    missing = [number for number in numbers if number >= len(there)]
    if missing:
        known = f"0-{len(there) - 1}" if len(there) > 1 else "0"
        raise CnnsearchError(f"--gpus {text}: there is no GPU {missing[0]}, expected {known}")
    if len(set(numbers)) < len(numbers):
        raise CnnsearchError(f"--gpus {text}: names a GPU twice (--workers-per-gpu shares one)")
    return tuple(there[number] for number in numbers)


def _parse_numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 9:
            raise CnnsearchError(f"--gpus: expected 0-3, 0,2 or all, got {text!r}")
        found += range(int(first), int(last or first) + 1)[:1024]
    if not found:
        raise CnnsearchError(f"--gpus: expected 0-3, 0,2 or all, got {text!r}")
    return found


def count_slots(placement: Placement) -> int:
    """Returns how many trials run in parallel, as far as is known; 0: one, in this process.

    Raises:
        CnnsearchError: ``--gpus`` names one that this machine does not have.
    """
    if placement.workers is not None:
        return placement.workers
    if placement.ray is not None:
        return 1
    return max(1, len(find_gpus(placement.gpus)) * placement.workers_per_gpu)


def make_executor(placement: Placement) -> Executor:
    """Returns what runs the trials; it starts nothing yet.

    Raises:
        CnnsearchError: a GPU, Ray or the Ray cluster is missing.
    """
    if placement.ray is not None:
        from cnnsearch.engine.executors.ray.executor import RayExecutor

        return RayExecutor(
            placement.ray,
            slots=placement.workers,
            gpus_per_trial=placement.gpus_per_trial,
            timeout=placement.trial_timeout,
            start_method=placement.start_method,
        )
    slots = count_slots(placement)
    if slots == 0:
        return InProcessExecutor(placement.trial_timeout)
    return ProcessExecutor(
        slots,
        timeout=placement.trial_timeout,
        start_method=placement.start_method,
        gpus=find_gpus(placement.gpus),
    )
