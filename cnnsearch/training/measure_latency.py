"""Measures how long models take for one image on this device.

    python measure_latency.py FILE_OR_FOLDER ... [--threads 1] [--seconds 5] > latencies.json

Needs Python 3.9, NumPy, and the runtime of the files: ai-edge-litert (or tflite-runtime, or
TensorFlow) for .tflite, onnxruntime for .onnx; nothing of cnnsearch, so that the file can be copied
to a device. Results are JSON: of each file the median, with its 95 % confidence interval, of as
many calls as it takes until that interval is narrower than 5 % of the median.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WARM_UP, WARM_UP_SECONDS = 5, 0.1
"""The least calls and seconds that are not timed: caches fill, clocks rise."""
FEWEST = 30
"""Calls that are timed at least."""
SECONDS = 5.0
"""After which no further call is timed, however wide the interval."""
WIDTH = 0.05
"""Width of the interval, as a share of the median, at which a measurement ends."""
INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")
"""Where LiteRT's interpreter is found, under its names of all years."""
NETWORKS = "networks.json"
"""File that says which network each file is; cnnsearch writes it, and reads it back."""


@dataclass(frozen=True)
class Latency:
    """Time of a call in milliseconds.

    Attributes:
        median: of all timed calls.
        low: lower end of its 95 % confidence interval.
        high: upper end.
        calls: that were timed.
    """

    median: float
    low: float
    high: float
    calls: int

    @property
    def is_precise(self) -> bool:
        """Whether the interval is narrower than 5 % of the median."""
        return self.high - self.low < WIDTH * self.median


def measure(
    call: Callable[[], Any],
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Times a function until the median is known to 5 %, or the time is up.

    Args:
        call: the function.
        seconds: after which no further call is timed.
        clock: of both.
    """
    since = clock()
    calls = 0
    while calls < WARM_UP or clock() - since < WARM_UP_SECONDS:
        call()
        calls += 1
    timed: list[float] = []
    found = None
    since = clock()
    while found is None or not (found.is_precise or clock() - since > seconds):
        for _ in range(max(FEWEST, len(timed) // 2)):  # looking at the interval takes time, too
            began = clock()
            call()
            timed.append(clock() - began)
            if began - since > seconds:
                break
        found = summarize(timed)
    return found


def summarize(seconds: Sequence[float]) -> Latency:
    """Returns the median of timed calls, with its confidence interval from order statistics."""
    ordered = sorted(1000 * each for each in seconds)
    count = len(ordered)
    rank = find_rank(count)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Latency(median, ordered[rank], ordered[count - 1 - rank], count)


def find_rank(count: int, confidence: float = 0.95) -> int:
    """Returns how many of the smallest (and of the largest) values lie outside the interval.

    The interval between order statistics covers the median of any distribution with the sum of
    binomial probabilities in between (David & Nagaraja, Order Statistics, section 7.1).
    """
    tail, rank = 0.0, 0
    while rank < count // 2:
        tail += math.exp(
            math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
            - count * math.log(2)
        )  # fmt: skip
        if tail > (1 - confidence) / 2:
            break
        rank += 1
    return max(0, rank - 1)


def open_model(path: Path, threads: int) -> Callable[[], Any]:
    """Returns a function that runs a model once on random pixels."""
    return _open_onnx(path, threads) if path.suffix == ".onnx" else _open_litert(path, threads)


def _open_litert(path: Path, threads: int) -> Callable[[], Any]:
    model = find_interpreter()(model_path=str(path), num_threads=threads)
    model.allocate_tensors()
    (image,) = model.get_input_details()
    model.set_tensor(image["index"], _draw(image["shape"], image["dtype"]))
    invoke: Callable[[], Any] = model.invoke
    return invoke


def find_interpreter() -> Any:
    """Returns LiteRT's interpreter, wherever it is installed from."""
    for name in INTERPRETERS:
        try:
            return importlib.import_module(name).Interpreter
        except ImportError:
            continue
    raise SystemExit("LiteRT is not installed: pip install ai-edge-litert")


def _open_onnx(path: Path, threads: int) -> Callable[[], Any]:
    try:
        import onnxruntime
    except ImportError:
        raise SystemExit("ONNX Runtime is not installed: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
    )
    (image,) = model.get_inputs()
    pixels = {image.name: _draw(image.shape, "uint8")}
    return lambda: model.run(None, pixels)


def _draw(shape: Sequence[int], dtype: Any) -> Any:
    import numpy as np

    sides = [side if isinstance(side, int) else 1 for side in map(_to_int, shape)]
    return np.random.default_rng(0).integers(0, 256, sides).astype(dtype)


def _to_int(side: Any) -> Any:
    return int(side) if hasattr(side, "__index__") else side


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the models among files and in folders."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        models = [each for each in inside if each.suffix in (".tflite", ".onnx")]
        if not models:
            raise SystemExit(f"{path}: there is no .tflite or .onnx file")
        found += models
    return found


def measure_file(path: Path, threads: int, seconds: float) -> dict[str, Any]:
    """Returns the latency of a model, and what ``networks.json`` beside it says of it."""
    latency = measure(open_model(path, threads), seconds)
    list_ = path.parent / NETWORKS
    networks = json.loads(list_.read_text("utf-8")) if list_.is_file() else {}
    return {
        "file": path.name,
        "latency_ms": latency.median,
        "low_ms": latency.low,
        "high_ms": latency.high,
        "calls": latency.calls,
        "precise": latency.is_precise,
        "threads": threads,
        "device": f"{platform.node()} ({platform.machine()})",
        **networks.get(path.name, {}),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the files that the command line names and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args(arguments)
    rows = []
    for path in find_files(given.paths):
        row = measure_file(path, given.threads, given.seconds)
        wide = "" if row["precise"] else ", not known to 5 %"
        print(f"{row['file']}: {row['latency_ms']:.3f} ms{wide}", file=sys.stderr, flush=True)
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
