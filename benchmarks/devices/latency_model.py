"""How well a latency model predicts candidates that it has not seen.

    python benchmarks/devices/latency_model.py measure mobile residual --candidates 40
    python benchmarks/devices/latency_model.py report

``measure`` appends the LiteRT latency (one image, one thread, float32 and int8) of random
candidates of each space at 32x32 to ``latencies.jsonl``, in processor time of the thread, as
searches measure it. ``report`` leaves out each candidate in turn, fits the model of ``cnnsearch
search --max-latency`` to the others of its space, and predicts it.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.engine.latency_model import FEWEST, LatencyModel
from cnnsearch.space.sampling import sample_architectures
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.latency import PRECISIONS, measure_untrained

FILE = Path(__file__).with_name("latencies.jsonl")
IMAGE = (32, 32)


def measure(spaces: list[str], candidates: int) -> None:
    """Appends measurements of random candidates; those that are there are not repeated."""
    import keras

    known = {row["fingerprint"] for row in read_rows()}
    for space in spaces:
        for network in sample(space, candidates):
            if network.fingerprint in known:
                continue
            row: dict[str, Any] = {"space": space, "fingerprint": network.fingerprint}
            for precision in PRECISIONS:
                keras.utils.clear_session(free_memory=False)
                found = measure_untrained(network, IMAGE, precision, seconds=3.0)
                row[precision] = {**vars(found), "load": os.getloadavg()[0]}
            with FILE.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def sample(space: str, candidates: int) -> Iterator[Architecture]:
    """Yields random networks of a space."""
    return sample_architectures(SearchSpace.load(space).adapt(image=IMAGE), candidates)


def read_rows() -> list[dict[str, Any]]:
    """Returns all measurements."""
    if not FILE.exists():
        return []
    return [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


def report() -> None:
    """Prints error and rank correlation of each space and precision."""
    rows = read_rows()
    print("space        precision  networks  range  mean error  median  rank corr.  not to 5 %")
    for space in dict.fromkeys(row["space"] for row in rows):
        by_name = {each.fingerprint: each for each in sample(space, 200)}
        own = [row for row in rows if row["space"] == space and row["fingerprint"] in by_name]
        for precision in PRECISIONS:
            if len(own) > FEWEST:
                networks = [by_name[row["fingerprint"]] for row in own]
                print(
                    f"{space:<12} {precision:<10}", describe([r[precision] for r in own], networks)
                )


def describe(found: list[dict[str, Any]], networks: list[Architecture]) -> str:
    """Returns the figures of one space in one precision."""
    latencies = np.array([each["median"] for each in found])
    predicted = np.array([predict_left_out(i, networks, latencies) for i in range(len(networks))])
    errors = np.abs(predicted / latencies - 1)
    wide = sum(each["high"] - each["low"] >= 0.05 * each["median"] for each in found)
    return (
        f"{len(networks):>8} {latencies.max() / latencies.min():>6.1f} {errors.mean():>11.1%}"
        f" {np.median(errors):>7.1%} {spearmanr(predicted, latencies).statistic:>11.3f} {wide:>11}"
    )


def predict_left_out(place: int, networks: list[Architecture], latencies: Any) -> float:
    """Returns the prediction for one network from all others."""
    others = [i for i in range(len(networks)) if i != place]
    model = LatencyModel.fit([networks[i] for i in others], [latencies[i] for i in others])
    return model.predict(networks[place])


def main() -> None:
    """Runs one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("spaces", nargs="+")
    one.add_argument("--candidates", type=int, default=40)
    commands.add_parser("report")
    given = parser.parse_args()
    if given.command == "measure":
        measure(given.spaces, given.candidates)
    else:
        report()


if __name__ == "__main__":
    main()
