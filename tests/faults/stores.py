"""What a search has left on disk, without what no two searches share: times and random names."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.searches import Search, read

CLOCKS = {"seconds", "epoch_seconds", "peak_memory_mb"}
"""Metrics of which only the presence can be the same."""
CHANCE = {
    "mlflow.parentRunId",
    "cnnsearch.search",
    "environment.git_revision",
    "mlflow.source.git.commit",
}
"""Tags and parameters that are random, or change when somebody commits while searches run."""
LATER = {"report.html"}
"""Is written when a session has ended, with its times; the next session or ``sync`` uploads it."""


def without_clocks(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if key in CLOCKS else value for key, value in metrics.items()}


def leaderboard(search: Search) -> list[dict[str, Any]]:
    """All candidates with their values, scores and metrics, in the order of their numbers."""
    rows = search.ask("select id, number, status, start, outcome from trial order by number")
    found = []
    for trial, number, status, start, outcome in rows:
        end = json.loads(outcome or "{}")
        end = {**end, "metrics": without_clocks(end.get("metrics") or {}), "seconds": None}
        began = {**json.loads(start), "predicted_seconds": None, "propose_seconds": None}  # clocks
        found.append({"id": trial, "number": number, "status": status, **began, "end": end})
    return found


def curves(search: Search) -> dict[str, list[Any]]:
    """Every epoch event of every candidate: one that was heard twice is there twice."""
    rows = search.ask("select trial_id, data from event where kind = 'epoch' order by epoch, seq")
    found: dict[str, list[Any]] = {}
    for trial, data in rows:
        told = json.loads(data)
        found.setdefault(trial, []).append([told["epoch"], without_clocks(told["metrics"])])
    return dict(sorted(found.items()))


def ends(search: Search) -> dict[str, int]:
    """How often each candidate has ended."""
    rows = search.ask("select trial_id, count(*) from event where kind = 'trial_ended' group by 1")
    return dict(sorted(rows))


def oracle(search: Search) -> dict[str, Any]:
    """What the strategy remembers."""
    state = [json.loads(row[0]) for row in search.ask("select state from oracle")]
    trials = search.ask("select state from oracle_trial order by position")
    return {"state": state, "trials": [json.loads(row[0]) for row in trials]}


def weights(search: Search) -> dict[str, list[Any]]:
    """The best weights of every candidate, to the bit."""
    found = {}
    for path in sorted((search.run / "trials").glob("*/best.npz")):
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in file.files if name != "header"]
            found[path.parent.name] = [[name, file[name].tobytes().hex()] for name in names]
    return found


def mlflow(search: Search) -> dict[str, Any]:
    """The MLflow store: runs by candidate, with params, tags, points, artifacts and inputs."""
    path = search.folder / "runs" / "mlflow.db"
    runs = read(path, "select run_uuid, name, status, lifecycle_stage from runs")
    names = {uuid: _candidate(path, uuid) for uuid, *_ in runs}
    shown = [(names[uuid], _run(search, path, uuid, rest, names)) for uuid, *rest in runs]
    shown.sort(key=lambda pair: pair[0])
    experiments = read(path, "select name, lifecycle_stage from experiments")
    tags = read(path, "select key, value from experiment_tags")
    return {
        "runs": [name for name, _ in shown],
        "experiments": sorted(experiments),
        "experiment tags": sorted((key, _anonymous(value, names)) for key, value in tags),
        "artifact folders": len(list((search.folder / "runs" / "mlartifacts").glob("*"))),
        **dict(shown),
    }


def _candidate(path: Path, uuid: str) -> str:
    query = "select value from tags where run_uuid = ? and key = 'cnnsearch.trial'"
    found = read(path, query, uuid)
    return f"trial {found[0][0]}" if found else "parent"


def _run(
    search: Search, path: Path, uuid: str, rest: list[Any], names: Mapping[str, str]
) -> dict[str, Any]:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return read(path, f"{query} where run_uuid = ?", uuid)

    tags = dict(rows("select key, value from tags"))
    points = rows("select key, step, value, is_nan from metrics")
    latest = rows("select key, step, value, is_nan from latest_metrics")
    artifacts = search.folder / "runs" / "mlartifacts" / uuid / "artifacts"
    inputs = "select count(*) from inputs where destination_id = ?"
    return {
        "name and state": rest,
        "params": {k: v for k, v in rows("select key, value from params") if k not in CHANCE},
        "tags": {k: _anonymous(v, names) for k, v in tags.items() if k not in CHANCE},
        "points": sorted(_points(points)),
        "latest": sorted(_points(latest)),
        "artifacts": {
            p.name: _content(p) for p in sorted(artifacts.glob("*")) if p.name not in LATER
        },
        "inputs": read(path, inputs, uuid),
    }


def _content(path: Path) -> str:
    """What is in a text, and of a picture the hash of its bytes."""
    content = path.read_bytes()
    return content.decode() if path.suffix != ".png" else hashlib.sha256(content).hexdigest()


def _points(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for key, step, value, nan in rows:
        if key.startswith("system/"):  # the machine's load, at any times
            continue
        yield (key, step, "" if key in CLOCKS else repr(value), nan)


def _anonymous(text: str, names: Mapping[str, str]) -> str:
    for uuid, name in names.items():
        text = text.replace(uuid, f"<{name}>")
    return re.sub(r"\d+(\.\d+)? s\b", "<seconds>", text)


def state(search: Search) -> dict[str, Any]:
    """All of a finished search that an undisturbed one with the same seed has too."""
    return {
        "leaderboard": leaderboard(search),
        "curves": curves(search),
        "ends": ends(search),
        "oracle": oracle(search),
        "weights": weights(search),
        "mlflow": mlflow(search),
    }


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Names every place where two states differ, in a line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        pairs = [(key, one.get(key, "absent"), other.get(key, "absent")) for key in keys]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            more, fewer = Counter(map(str, other)), Counter(map(str, one))
            left = [*(more - fewer).elements(), *(fewer - more).elements()]
            return [f"{where}: {len(one)} against {len(other)}: {str(left)[:300]}"]
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other else [f"{where}: {str(one)[:100]!r}, {str(other)[:100]!r}"]
    return [line for key, a, b in pairs for line in differences(a, b, f"{where}/{key}")]


def repeated_epochs(search: Search) -> list[str]:
    """Epochs that were trained again, as ``session trial epoch``; of saved ones: with a mark."""
    begun: set[tuple[str, int]] = set()
    saved: set[tuple[str, int]] = set()
    again = []
    for session, trial, epoch, word in search.epochs():
        if word == "begin" and (trial, epoch) in begun:
            mark = " although saved" if (trial, epoch) in saved else ""
            again.append(f"{session} {trial} {epoch}{mark}")
        if word == "begin":
            begun.add((trial, epoch))
        if word == "saved":
            saved.add((trial, epoch))
    return again


def damage(search: Search) -> list[str]:
    """Files that are half-written, cannot be read, or should not be there any more."""
    found = [f"left over: {path.relative_to(search.folder)}" for path in _leftovers(search)]
    for path in search.folder.rglob("*"):
        if path.is_file() and (wrong := _wrong(path)):
            found.append(f"{path.relative_to(search.folder)}: {wrong}")
    return found


def _leftovers(search: Search) -> list[Path]:
    runs = search.folder / "runs"
    hidden = [p for p in runs.iterdir() if p.name.startswith(".") and p.name != ".cache"]
    return [*hidden, *(p for p in runs.rglob("*") if "tmp" in p.suffix or "tmp" in p.name)]


def _wrong(path: Path) -> str:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                [file[name] for name in file.files]
        elif path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".db":
            answer = read(path, "pragma integrity_check")
            return "" if answer == [("ok",)] else str(answer)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
