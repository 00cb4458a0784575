"""What a result depends on besides the search: versions, device, git revision."""

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata, util
from typing import Any

from cnnsearch.utils.hardware import count_cores
from cnnsearch.utils.units import pluralize

PACKAGES = ("cnnsearch", "keras", "tensorflow", "jax", "keras-tuner", "mlflow", "numpy")


def get_backend() -> str:
    """Returns Keras's backend: ``KERAS_BACKEND``, else TensorFlow if it is installed, else JAX."""
    chosen = os.environ.get("KERAS_BACKEND", "")
    if chosen:
        return chosen
    return "tensorflow" if util.find_spec("tensorflow") or not util.find_spec("jax") else "jax"


def configure_backend() -> str:
    """Fixes the backend and silences its C++ log; call it before anything imports Keras."""
    os.environ["KERAS_BACKEND"] = get_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    return os.environ["KERAS_BACKEND"]


def import_frameworks() -> None:
    """Imports Keras, its backend and Keras Tuner, and discards what their C++ code prints."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with _defer_interrupts():
            for name in ("keras", "keras_tuner"):
                import_module(name)
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


@contextmanager
def _defer_interrupts() -> Iterator[None]:
    """Delivers Ctrl-C or SIGTERM at the end of the block; a second one exits at once."""
    # Frameworks import optional packages in a bare ``except:``, which swallows KeyboardInterrupt:
    # the search would go on as if nobody had stopped it.
    signals = (signal.SIGINT, signal.SIGTERM)
    handled = [number for number in signals if callable(signal.getsignal(number))]
    if threading.current_thread() is not threading.main_thread() or not handled:
        yield
        return
    received: list[int] = []

    def defer(number: int, frame: object) -> None:
        if received:
            os._exit(130)
        received.append(number)

    before = {number: signal.signal(number, defer) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def list_gpus() -> list[str]:
    """Returns the names of the NVIDIA GPUs that ``CUDA_VISIBLE_DEVICES`` does not hide."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1"):
        return []
    answer = _run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or ""
    names = [line.strip() for line in answer.splitlines() if line.strip()]
    if visible is None:
        return names
    return [names[int(i)] for i in visible.split(",") if i.isdigit() and int(i) < len(names)]


def list_gpu_ids() -> list[str]:
    """Returns the GPUs that this process sees, as ``CUDA_VISIBLE_DEVICES`` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = list_gpus()
    if visible is None:
        return [str(number) for number in range(len(found))]
    return [name.strip() for name in visible.split(",") if name.strip()][: len(found)]


def describe_device() -> str:
    """Returns the training device as text."""
    found = list_gpus()
    return ", ".join(found) if found else f"CPU ({pluralize(count_cores(), 'core')})"


def get_available_memory() -> int:
    """Returns the bytes of memory that can be used without swapping."""
    import psutil  # here: it takes 20 ms, and most commands do without

    return int(psutil.virtual_memory().available)


def describe_environment() -> dict[str, Any]:
    """Returns versions, backend, device, platform and git revision."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": get_backend(),
        "device": describe_device(),
        "cores": count_cores(),
        "git_revision": get_git_revision(),
        **{name.replace("-", "_"): get_version(name) for name in PACKAGES if get_version(name)},
    }


def get_version(package: str) -> str | None:
    """Returns an installed package's version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def get_git_revision() -> str | None:
    """Returns the working directory's git revision (with ``-dirty`` if changed), or None."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return _run(command)


def _run(command: list[str]) -> str | None:
    """Returns what a command prints; None if it is not installed, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
