"""Latency of networks on this machine, without trained weights, which do not change it.

Networks are exported as a trained candidate would be, and timed by ``measure_latency.py``, which
needs nothing of cnnsearch and can be copied to a device together with the files.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError, ExportError
from cnnsearch.exporters.formats import FORMATS, Target, parse_targets
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.training.measure_latency import NETWORKS
from cnnsearch.utils import environment
from cnnsearch.utils.atomic_files import atomic_folder
from cnnsearch.utils.subprocesses import stream_module

SCRIPT = "measure_latency.py"
_MODULE = "cnnsearch.training.measure_latency"
_FEW = 4
"""Random images that activations are calibrated on: their range does not change the latency."""


def choose_targets(formats: str, quantize: str | None) -> tuple[Target, ...]:
    """Returns the files to measure; both options take several words, separated by commas.

    Raises:
        ExportError: a word is unknown, or names a format that does not run on devices.
    """
    timed = [each for each in FORMATS if each.is_timed]
    targets = parse_targets(formats, quantize)
    for target in targets:
        if not target.format.is_timed:
            names = " or ".join(each.name for each in timed)
            raise ExportError(f"--format {target.format.name}: latency is measured of {names}")
        target.format.check_installed(writing=True)
    return targets


def write_untrained(
    networks: Mapping[str, Architecture],
    targets: Sequence[Target],
    folder: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes the networks with random weights to a folder, and the list of what the files are.

    Args:
        networks: by name.
        targets: formats of each.
        folder: exists; the script that measures is copied there too.
        progress: receives the name of each file that is written.

    Raises:
        ExportError: a network cannot be converted; says which.
    """
    named = {name: each.to_json() for name, each in networks.items()}
    words = [[target.format.name, target.quantize] for target in targets]
    task = json.dumps({"networks": named, "targets": words, "folder": str(folder)})
    lines = stream_module(
        "cnnsearch.exporters.latency",
        fail=lambda why: ExportError(f"the networks cannot be exported: {why}"),
        environment={"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=task.encode(),
    )
    for line in lines:
        progress(line)
    script = resources.files("cnnsearch.training") / SCRIPT
    (folder / SCRIPT).write_text(script.read_text("utf-8"), "utf-8")


def export_for_device(
    networks: Mapping[str, Architecture],
    targets: Sequence[Target],
    folder: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes networks and the script that measures them to a folder to copy to a device.

    Raises:
        ExportError: the folder exists, or a network cannot be converted.
    """
    if folder.exists():
        raise ExportError(f"--export {folder}: already exists")
    with atomic_folder(folder) as unfinished:
        write_untrained(networks, targets, unfinished, progress)


def explain_export(folder: Path) -> str:
    """Returns what to do with an exported folder."""
    return (
        f"Wrote {folder}. Copy it to the device and measure there:\n"
        f"  python {folder.name}/{SCRIPT} {folder.name} > latencies.json\n"
        "Then search with --latency-table latencies.json."
    )


def measure_networks(
    networks: Mapping[str, Architecture],
    targets: Sequence[Target],
    *,
    threads: int = 1,
    seconds: float,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Returns one measurement for each network and target, as ``measure_latency.py`` prints it.

    Raises:
        ExportError: a network cannot be exported or run.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_untrained(networks, targets, folder, progress)
        progress("measuring")
        lines = stream_module(
            *(_MODULE, folder, "--threads", threads, "--seconds", seconds),
            fail=lambda why: ExportError(f"the latency cannot be measured: {why}"),
        )
        found = {row["file"]: row for row in json.loads(list(lines)[-1])}
        order = json.loads((folder / NETWORKS).read_text("utf-8"))
        return [found[file] for file in order]


def _write_all(task: Mapping[str, Any]) -> None:
    """Writes every network in every format, and the list of them; prints each file's name."""
    folder, listed = Path(task["folder"]), dict[str, Any]()
    targets = [parse_targets(name, quantize)[0] for name, quantize in task["targets"]]
    for number, (name, text) in enumerate(task["networks"].items()):
        architecture = Architecture.from_json(text)
        with tempfile.TemporaryDirectory() as work:
            job = _make_job(architecture.fold(), Path(work))
            for target in targets:
                file = f"{number:03}-{_to_file_name(name)}-{target.file}"
                target.format.make(job, folder / file, target.quantize)
                listed[file] = {
                    "network": name, "format": target.format.name, "quantize": target.quantize,
                    "architecture": architecture.to_data(),
                }  # fmt: skip
                print(file, flush=True)
    (folder / NETWORKS).write_text(json.dumps(listed), "utf-8")


def _make_job(architecture: Architecture, folder: Path) -> ExportJob:
    """Returns the job of a network with random weights, which it writes to the folder."""
    import numpy as np

    from cnnsearch.training.checkpoint import save_weights
    from cnnsearch.training.model import build

    height, width, channels = architecture.input
    mean, std = [0.5] * channels, [0.25] * channels
    save_weights(build(architecture, mean=mean, std=std), folder / "weights.npz")
    pixels = np.random.default_rng(0).integers(0, 256, (_FEW, height, width, channels))
    np.save(folder / "images.npy", pixels.astype(np.uint8))
    return ExportJob(
        architecture=architecture.to_json(), mean=mean, std=std, image=[height, width],
        size=[height, width], batch=1, weights=str(folder / "weights.npz"),
        calibration=str(folder / "images.npy"),
    )  # fmt: skip


def _to_file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name)


def main() -> int:
    """Carries out the task on standard input; an error is the last line on standard error."""
    environment.configure_backend()
    environment.import_frameworks()
    try:
        _write_all(json.load(sys.stdin))
    except CnnsearchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
