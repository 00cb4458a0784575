"""What a result depends on beside the search: versions, device, revision. Imports nothing heavy."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import import_module, metadata, util
from pathlib import Path
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
    """Fixes the backend and hushes its C++ log, before anything imports Keras; returns its name."""
    os.environ["KERAS_BACKEND"] = get_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    return os.environ["KERAS_BACKEND"]


def import_frameworks() -> None:
    """Imports Keras, its backend and Keras Tuner; what their C++ prints meanwhile goes nowhere.

    The backend has to be settled before. An import that fails is told as ever, by its exception.
    """
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        for name in ("keras", "keras_tuner"):
            import_module(name)
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def list_gpus() -> list[str]:
    """Returns the names of the NVIDIA GPUs that ``CUDA_VISIBLE_DEVICES`` does not hide."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1") or shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if visible is None or done.returncode:
        return names if not done.returncode else []
    return [names[int(i)] for i in visible.split(",") if i.isdigit() and int(i) < len(names)]


def list_gpu_ids() -> list[str]:
    """Returns the GPUs that this process sees, as ``CUDA_VISIBLE_DEVICES`` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = list_gpus()
    if visible is None:
        return [str(number) for number in range(len(found))]
    return [name.strip() for name in visible.split(",") if name.strip()][: len(found)]


def describe_device() -> str:
    """Returns the training device in words."""
    found = list_gpus()
    return ", ".join(found) if found else f"CPU ({pluralize(count_cores(), 'core')})"


def get_available_memory() -> int:
    """Returns the bytes of memory that processes may still take, as well as can be told."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
        return 1024 * int(text.split("MemAvailable:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe_environment() -> dict[str, Any]:
    """Returns versions, backend, device, platform and the git revision, for the record."""
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
    """Returns the working directory's git revision, ``-dirty`` behind it if changed, or None."""
    if shutil.which("git") is None:
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False, cwd=Path.cwd()
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
