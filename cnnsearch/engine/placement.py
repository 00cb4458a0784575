"""Where a run's trials are trained: worker slots, GPUs, start method; not part of what it finds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnnsearch.engine.executors import Executor, StartMethod, create_executor
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError, nearest
from cnnsearch.utils import environment

START_METHODS: Mapping[str, StartMethod] = {
    "auto": "auto",
    "forkserver": "forkserver",
    "spawn": "spawn",
}


def moved(settings: Settings, **given: Any) -> Settings:
    """Returns settings with another placement; what is None stays as it was.

    Args:
        settings: of a run.
        **given: workers, gpus (``none``: every trial sees all again), workers_per_gpu, ray
            (``none``: on this machine again), gpus_per_trial, max_disk …
    """
    changes = {key: value for key, value in given.items() if value is not None}
    if changes.get("ray") == "none":
        changes["gpus_per_trial"] = None
    for key in ("gpus", "ray"):
        if changes.get(key) == "none":
            changes[key] = None
    return replace(settings, **changes)


def gpus_of(text: str | None) -> tuple[str, ...]:
    """Returns the GPUs that ``0-3``, ``0,2`` or ``all`` name, as CUDA_VISIBLE_DEVICES has them.

    Numbers count those that this process sees, from 0.

    Raises:
        CnnsearchError: it names none, the same twice, or one that there is not.
    """
    if text is None:
        return ()
    there = environment.gpu_ids()
    numbers = list(range(len(there))) if text.strip() == "all" else _numbers(text)
    if not there:
        raise CnnsearchError(f"--gpus {text}: this machine shows no GPU (nvidia-smi lists none)")
    missing = [number for number in numbers if number >= len(there)]
    if missing:
        known = f"0-{len(there) - 1}" if len(there) > 1 else "0"
        raise CnnsearchError(f"--gpus {text}: there is no GPU {missing[0]}, expected {known}")
    if len(set(numbers)) < len(numbers):
        raise CnnsearchError(f"--gpus {text}: names a GPU twice (--workers-per-gpu shares one)")
    return tuple(there[number] for number in numbers)


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 9:
            raise CnnsearchError(f"--gpus: expected 0-3, 0,2 or all, got {text!r}")
        found += range(int(first), int(last or first) + 1)[:1024]
    if not found:
        raise CnnsearchError(f"--gpus: expected 0-3, 0,2 or all, got {text!r}")
    return found


def check_placement(settings: Settings) -> None:
    """Refuses a placement that cannot be, naming the flag.

    Raises:
        CnnsearchError: a mistake in a flag, or a GPU that is not there.
    """
    if settings.workers_per_gpu < 1:
        given = settings.workers_per_gpu
        raise CnnsearchError(f"--workers-per-gpu: expected at least 1, got {given}")
    if settings.start_method not in START_METHODS:
        hint = nearest(settings.start_method, START_METHODS)
        known = ", ".join(START_METHODS)
        raise CnnsearchError(
            f"--start-method: expected {known}, got {settings.start_method!r}{hint}"
        )
    if settings.ray is not None:
        _check_ray(settings)
        return
    if settings.gpus_per_trial is not None:
        raise CnnsearchError("--gpus-per-trial: is for --ray; without it, see --workers-per-gpu")
    if settings.workers == 0 and settings.gpus:
        raise CnnsearchError("--gpus: pins a GPU to each worker, but --workers 0 has none")
    gpus_of(settings.gpus)


def _check_ray(settings: Settings) -> None:
    if settings.workers == 0:
        raise CnnsearchError("--ray: places trials on nodes, but --workers 0 keeps them here")
    if settings.gpus or settings.workers_per_gpu != 1:
        flag = "--gpus" if settings.gpus else "--workers-per-gpu"
        raise CnnsearchError(f"{flag}: with --ray, Ray gives GPUs out; see --gpus-per-trial")


def slots(settings: Settings) -> int:
    """Returns how many trials run side by side, as far as is known; 0: one, in this process."""
    if settings.workers is not None:
        return settings.workers
    if settings.ray is not None:
        return 1
    return max(1, len(gpus_of(settings.gpus)) * settings.workers_per_gpu)


def executor_of(settings: Settings) -> Executor:
    """Returns what runs the trials of a run; it starts nothing yet.

    Raises:
        CnnsearchError: no Ray is installed, or no cluster is where one should be.
    """
    if settings.ray is not None:
        from cnnsearch.engine.executors.ray.executor import RayExecutor

        return RayExecutor(
            settings.ray,
            slots=settings.workers,
            gpus_per_trial=settings.gpus_per_trial,
            timeout=settings.trial_timeout,
            start_method=START_METHODS[settings.start_method],
        )
    return create_executor(
        slots(settings),
        timeout=settings.trial_timeout,
        start_method=START_METHODS[settings.start_method],
        gpus=gpus_of(settings.gpus),
    )
