"""Searches that know the latency of their candidates: the model, the table, the limit."""

import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import spearmanr

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Budget
from cnnsearch.architecture.work import count_work
from cnnsearch.engine import latency
from cnnsearch.engine.failures import FailureMonitor
from cnnsearch.engine.latency import MeasuredNetworks, find_measured, make_task, read_table
from cnnsearch.engine.latency_model import LatencyCheck, LatencyModel
from cnnsearch.engine.search import search
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.space.sampling import sample_architectures
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.latency import (
    FILE,
    LatencyTask,
    _estimate_statistics,
    measure_candidate,
    measure_untrained,
)
from cnnsearch.training.measure_latency import Latency
from cnnsearch.training.messages import CandidateFailure, Failed
from cnnsearch.training.model import build

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 48, 64]}}]
recipe: {epochs: 1, batch_size: 256}
"""
BASE = {"input": [8, 8, 1], "classes": 10}
CONV = {"type": "conv", "filters": 16}


def pretend(network: Architecture) -> float:
    """A device's latency in milliseconds, by counts of another module, with 3 % of noise."""
    spatial, pointwise, grouped, values, _, layers = count_work(network)
    exact = spatial * 2e-8 + pointwise * 4e-8 + grouped * 2e-7 + values * 1e-7 + layers * 2e-3
    return exact * Random(network.fingerprint).uniform(0.97, 1.03)


def write_table(path: Path, space: str, **changes: Any) -> Path:
    networks = list(sample_architectures(SearchSpace.from_text(space), 12))
    rows = [{"architecture": e.to_data(), "latency_ms": pretend(e), **changes} for e in networks]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("name", ["residual", "mobile"])
def test_the_model_predicts_networks_that_it_has_not_seen(name: str) -> None:
    space = SearchSpace.load(name)
    networks = list(sample_architectures(space, 60))
    seen, unseen = networks[:30], networks[30:]
    model = LatencyModel.fit(seen, [pretend(each) for each in seen])
    predicted = np.array([model.predict(each) for each in unseen])
    measured = np.array([pretend(each) for each in unseen])
    assert np.mean(np.abs(predicted / measured - 1)) < 0.1
    assert spearmanr(predicted, measured).statistic > 0.9


def test_proposals_are_screened_by_their_predicted_latency() -> None:
    space = SearchSpace.from_text(SPACE)
    networks = list(sample_architectures(space, 12))
    model = LatencyModel.fit(networks, [pretend(each) for each in networks])
    limit = float(np.median([model.predict(each) for each in networks]))
    check = LatencyCheck(FeasibilityCheck(space, Budget(max_latency=limit)), space, model, limit)
    found = [check({"stem.0.filters": filters}) for filters in (4, 64)]
    assert [each.is_feasible for each in found] == [True, False]
    assert found[1].reason == "budget"
    assert found[0].cost is not None
    assert 0 < found[0].cost.latency_ms < limit < found[1].cost.latency_ms


def test_a_table_of_another_device_screens_and_ranks(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.json", SPACE, quantize="float32")
    limit = 1.2 * pretend(Architecture.from_data({**BASE, "stem": [CONV]}))
    result = search(
        SearchSpace.from_text(SPACE), "digits", runs=tmp_path / "runs", trials=3, workers=0,
        objective="val_accuracy, latency", max_latency=f"{limit}ms", latency_table=table,
        baseline="none",
    )  # fmt: skip
    assert [trial.status for trial in result.trials] == ["completed"] * 3
    for trial in result.trials:
        network = Architecture.from_data(trial.architecture)
        assert trial.latency_ms == pytest.approx(pretend(network), rel=0.1)
        assert trial.latency_ms <= limit
    (event,) = result.run.db.get_events_of(latency.EVENT)
    assert len(event.data["rows"]) == 12  # another session screens alike


def test_a_trial_is_measured_once_and_ends_above_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure(network: Any, image: Any, precision: str) -> Latency:
        measured.append(precision)
        return Latency(2.0, 1.99, 2.01, 30)

    monkeypatch.setattr("cnnsearch.training.latency.measure_untrained", measure)
    data = SimpleNamespace(image=(8, 8))
    task: Any = SimpleNamespace(directory=tmp_path, continues=None, architecture=None, dataset=data)
    with pytest.raises(CandidateFailure, match="over_budget: measured latency 2 ms, the limit is"):
        measure_candidate(task, LatencyTask("int8", 1.5))
    assert not (tmp_path / FILE).exists()
    for _ in range(2):  # the second time as a resumed trial
        assert measure_candidate(task, LatencyTask("int8", 2.5)) == 2.0
    assert measured == ["int8", "int8"]
    promoted = SimpleNamespace(**{**vars(task), "directory": tmp_path / "b", "continues": tmp_path})
    assert measure_candidate(promoted, LatencyTask("int8", 1.0)) == 2.0


def test_candidates_over_the_limit_do_not_stop_a_search() -> None:
    monitor = FailureMonitor(max_failures=3)
    over, nan = Failed("over_budget", "2 ms"), Failed("nan", "the loss")
    assert not any(monitor.record(over) for _ in range(20))
    assert any(monitor.record(nan) for _ in range(3))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_network_is_measured_in_litert(precision: str) -> None:
    network = Architecture.from_data({**BASE, "stem": [CONV]})
    found = measure_untrained(network, (8, 8), precision, 0.3)
    assert 0 < found.low <= found.median <= found.high < 100


def test_maps_of_untrained_networks_neither_vanish_nor_grow() -> None:
    """Otherwise LiteRT aborts where a deep one is quantized: the candidate counts as crashed."""
    block = {"type": "mbconv", "expansion": 4, "squeeze_ratio": 0.25}
    stages = [{"block": block, "width": 16 + 8 * (number % 2)} for number in range(10)]
    keras.utils.set_random_seed(0)
    data = {**BASE, "style": {"activation": "swish"}, "stem": [CONV], "stages": stages}
    network = Architecture.from_data(data)
    model = build(network, mean=[0.5], std=[0.25])
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    maps = keras.Model(
        model.inputs[0], [each.output for each in model.layers if "conv" in each.name]
    )

    def list_deviations() -> list[float]:
        return [float(np.std(each)) for each in maps(images, training=False) if each.shape[1] > 1]

    assert min(list_deviations()) < 1e-3, "otherwise this tests nothing"
    _estimate_statistics(model, images)
    assert 1e-2 < min(list_deviations()) < max(list_deviations()) < 100
    assert measure_untrained(network, (8, 8), "int8", 0.1).median > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_latency": "2"}, "--max-latency: expected a time such as 2ms, 500us or 0.1s"),
        ({"max_latency": "0ms"}, "--max-latency: expected a time"),
        ({"latency_precision": "int4"}, "--latency-precision: expected float32 or int8"),
    ],
)
def test_bad_settings(given: dict[str, Any], message: str) -> None:
    with pytest.raises(CnnsearchError, match=message):
        Settings.create(SPACE, "s", **given)


def test_units_and_what_is_measured_when() -> None:
    made = Settings.create(SPACE, "s", max_latency="500us", latency_precision="int8")
    assert made.search.max_latency == 0.5
    assert made.replace(**made.flatten()).search.max_latency == 0.5  # as run.json holds it
    assert make_task(made) == LatencyTask("int8", 0.5)
    assert make_task(made.replace(latency_table="t.json")) is None  # another device's
    assert make_task(Settings.create(SPACE, "s")) is None
    assert make_task(Settings.create(SPACE, "s", objective="accuracy, latency")) is not None


def test_what_cannot_be_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Settings.create(SPACE, "s", max_latency="2ms", ray="local")
    anything: Any = None
    with pytest.raises(CnnsearchError, match="--ray: latency is measured on this machine"):
        find_measured(made, anything, anything, None, print)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CnnsearchError, match="not on jax"):
        find_measured(made.replace(ray=None), anything, anything, None, print)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{}", "expected a list with architecture and latency_ms"),
        ("[1]", "expected a list with architecture and latency_ms"),
        ('[{"latency_ms": 1}]', "expected a list with architecture and latency_ms"),
        ('[{"quantize": "int8"}]', "has no row of --latency-precision float32"),
        ("[]", "expected at least 8 networks"),
    ],
)
def test_a_bad_table(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(CnnsearchError, match=f"--latency-table .*t.json: {message}"):
        read_table(tmp_path / "t.json", "float32")
    with pytest.raises(CnnsearchError, match="cannot be read"):
        read_table(tmp_path / "missing.json", "float32")


def test_a_candidate_of_which_litert_dies_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = list(sample_architectures(SearchSpace.from_text(SPACE), 5))

    def stream(left: Any, *_: Any) -> Any:
        for each in left:
            if each in deadly:
                raise CnnsearchError("its process was ended by SIGABRT")
            yield "1.5"

    monkeypatch.setattr(latency, "_stream", stream)
    deadly = [networks[0], networks[3]]
    found = [each for each, _ in latency._measure_all(networks, (8, 8), "int8")]
    assert found == [networks[1], networks[2], networks[4]]
    deadly, many = networks, networks * 5
    with pytest.raises(CnnsearchError, match="SIGABRT"):
        list(latency._measure_all(many, (8, 8), "int8"))


def test_measured_networks_survive_the_journal() -> None:
    networks = tuple(sample_architectures(SearchSpace.from_text(SPACE), 9))
    measured = MeasuredNetworks(networks, tuple(map(pretend, networks)))
    rows = json.loads(json.dumps(measured.to_data()))
    assert MeasuredNetworks.from_data(rows, "here") == measured
