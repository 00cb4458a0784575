"""RAM and flash as counted from the wiring, against the int8 LiteRT files of random architectures.

    .venv/bin/python benchmarks/devices/count_exports.py --networks 1000 --out exports.jsonl

For each architecture, a line: the peak of live tensors and the size, of the file and as counted.
The peak of a file is the largest sum of the tensors that are alive while one of its operators runs,
read from the operators themselves with LiteRT's interpreter. Weights and the statistics of batch
normalization are random: the converter leaves out additions of zero. Spaces take turns, so that the
program can be stopped at any time; what is in --out already is not converted again.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.environment import configure_backend, import_frameworks


def draw(space: SearchSpace, rng: random.Random) -> Architecture:
    """Returns a random architecture that can be wired, folded as exports are."""
    while True:
        try:
            found = space.decode(space.sample(rng)).architecture
            count(found)
        except CnnsearchError:
            continue
        return found.fold()


def export(architecture: Architecture) -> bytes:
    """Returns the int8 file of the network with random weights."""
    import keras

    from cnnsearch.exporters.litert_metadata import remove_names
    from cnnsearch.training.litert import convert
    from cnnsearch.training.model import build

    keras.backend.clear_session()
    channels = architecture.input[2]
    model = build(architecture, mean=[0.4] * channels, std=[0.2] * channels)
    draws = np.random.default_rng(0)
    for weights in model.weights:
        if weights.name in ("gamma", "moving_variance"):
            weights.assign(draws.uniform(0.5, 1.5, weights.shape))
        elif weights.name in ("beta", "bias", "moving_mean"):
            weights.assign(draws.normal(0.0, 0.1, weights.shape))
    shape = (1, *architecture.input)
    images = draws.integers(0, 256, shape).astype(np.float32)
    content = convert(model, architecture.input[:2], shape, "int8", lambda: iter([[images]]))
    return remove_names(content)


def measure_peak(content: bytes) -> int:
    """Returns the largest sum of live tensors over the operators of a file, in bytes."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content)
    tensors = {each["index"]: each for each in model.get_tensor_details()}
    operators = model._get_ops_details()
    image = model.get_input_details()[0]["index"]
    written = {image, *(int(i) for each in operators for i in each["outputs"])}
    last = {int(i): n for n, each in enumerate(operators) for i in each["inputs"]}
    sizes = {i: int(np.prod(tensors[i]["shape"])) * np.dtype(tensors[i]["dtype"]).itemsize
             for i in written}  # fmt: skip
    live, peak = {image}, 0
    for number, each in enumerate(operators):
        live |= {int(i) for i in each["outputs"]}
        peak = max(peak, sum(sizes[i] for i in live))
        live = {i for i in live if last.get(i, -1) > number}
    return peak


def compare(name: str, space: str, architecture: Architecture) -> dict[str, Any]:
    """Returns what is counted and what the file has."""
    content, cost = export(architecture), count(architecture)
    return {
        "name": name,
        "space": space,
        "peak": measure_peak(content),
        "bytes": len(content),
        "counted_peak": cost.peak_activation_bytes,
        "counted_bytes": cost.flash_bytes,
        "architecture": architecture.to_data(),
    }


def list_networks(spaces: list[str], networks: int) -> Iterator[tuple[str, str, Architecture]]:
    """Yields names, spaces and architectures, one of each space after another."""
    loaded = {name: (SearchSpace.load(name), random.Random(name)) for name in spaces}
    for number in range(networks):
        name = spaces[number % len(spaces)]
        yield f"{name}-{number // len(spaces)}", name, draw(*loaded[name])


def main() -> None:
    """Appends to --out, and prints a line for each network and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--spaces", nargs="*", default=list_spaces())
    parser.add_argument("--out", type=Path, default=Path("exports.jsonl"))
    asked = parser.parse_args()
    configure_backend()
    import_frameworks()
    text = asked.out.read_text() if asked.out.exists() else ""
    rows = [json.loads(line) for line in text.splitlines()]
    done = {row["name"] for row in rows}
    for name, space, architecture in list_networks(asked.spaces, asked.networks):
        if name in done:
            continue
        start = time.time()
        rows.append(compare(name, space, architecture))
        with asked.out.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        row = rows[-1]
        print(f"{name:<20} RAM {row['peak']:>10,} counted {row['counted_peak']:>10,}  flash"
              f" {row['counted_bytes'] / row['bytes'] - 1:+7.2%}  {time.time() - start:5.1f} s",
              flush=True)  # fmt: skip
    equal = sum(row["peak"] == row["counted_peak"] for row in rows)
    worst = max(abs(row["counted_bytes"] / row["bytes"] - 1) for row in rows)
    print(f"{equal} of {len(rows)} with equal RAM; flash within {worst:.2%}")


if __name__ == "__main__":
    main()
