"""The measured networks that a search's latency model is fitted to: of this machine or another.

They are measured once, before the run exists, and kept in its journal, so that every session of the
run screens proposals alike.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import try_count
from cnnsearch.architecture.costs import LATENCY
from cnnsearch.data import Dataset
from cnnsearch.engine.latency_model import FEWEST, LatencyModel
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import ArchitectureError, CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.sampling import sample_architectures
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.latency import LatencyTask
from cnnsearch.training.objectives import find_costs
from cnnsearch.utils.environment import get_backend
from cnnsearch.utils.subprocesses import stream_module

EVENT = "latencies"
"""In the journal: networks, and their latencies in milliseconds."""
SAMPLES = 30
"""Random candidates that are measured before a search."""
MOST_DEATHS = 10
"""Processes that may die of a candidate before measuring is given up."""
DRAWN = 20 * SAMPLES
"""Random candidates among which those within the counted budget are looked for."""


@dataclass(frozen=True)
class MeasuredNetworks:
    """Networks with their latencies in milliseconds."""

    networks: tuple[Architecture, ...]
    latencies: tuple[float, ...]

    @classmethod
    def from_data(cls, rows: Sequence[Mapping[str, Any]], where: str) -> "MeasuredNetworks":
        """Reads rows with the keys ``architecture`` and ``latency_ms``.

        Raises:
            CnnsearchError: a row lacks one of them, or there are too few.
        """
        try:
            latencies = tuple(float(row["latency_ms"]) for row in rows)
            networks = tuple(Architecture.from_data(row["architecture"], where) for row in rows)
        except (KeyError, TypeError, ValueError):
            raise CnnsearchError(
                f"{where}: expected a list with architecture and latency_ms of each network, as"
                " measure_latency.py prints beside the files of cnnsearch latency --export"
            ) from None
        if len(rows) < FEWEST or min(latencies) <= 0:
            rule = f"at least {FEWEST} networks with latencies above 0"
            raise CnnsearchError(f"{where}: expected {rule}, got {len(rows)} networks")
        return cls(networks, latencies)

    def to_data(self) -> list[dict[str, Any]]:
        """Returns the rows that :meth:`from_data` reads."""
        pairs = zip(self.networks, self.latencies, strict=True)
        return [{"architecture": each.to_data(), "latency_ms": ms} for each, ms in pairs]

    def fit(self) -> LatencyModel:
        """Returns the model of these networks."""
        return LatencyModel.fit(self.networks, self.latencies)


def needs_latency(settings: Settings) -> bool:
    """Whether a search bounds the latency or has it as an objective."""
    is_objective = LATENCY in find_costs(settings.training.objective)
    return is_objective or settings.search.max_latency is not None


def make_task(settings: Settings) -> LatencyTask | None:
    """Returns what each trial measures; None: nothing, or its latency is that of another device."""
    search = settings.search
    if not needs_latency(settings) or search.latency_table is not None:
        return None
    return LatencyTask(search.latency_precision, search.max_latency)


def find_measured(
    settings: Settings,
    space: SearchSpace,
    dataset: Dataset,
    run: RunDirectory | None,
    announce: Callable[[str], None],
) -> MeasuredNetworks | None:
    """Returns the measured networks of a search; None: it knows no latency.

    Args:
        settings: of the search.
        space: of the search.
        dataset: whose image size candidates are given.
        run: that is resumed; None: it is new.
        announce: receives what takes long.

    Raises:
        CnnsearchError: the table cannot be read, or nothing can be measured here.
    """
    if not needs_latency(settings):
        return None
    events = run.db.get_events_of(EVENT) if run is not None else []
    if run is not None and events:
        return MeasuredNetworks.from_data(events[-1].data["rows"], str(run.path))
    if settings.search.latency_table is not None:
        return read_table(Path(settings.search.latency_table), settings.search.latency_precision)
    _check_possible(settings)
    return _measure(settings, space, dataset, announce)


def record(run: RunDirectory, measured: MeasuredNetworks | None) -> None:
    """Keeps measured networks in a run's journal, unless it has some."""
    if measured is not None and not run.db.get_events_of(EVENT):
        run.db.append(EVENT, {"rows": measured.to_data()})


def read_table(path: Path, precision: str) -> MeasuredNetworks:
    """Reads what ``measure_latency.py`` printed on a device.

    Args:
        path: of the file.
        precision: rows of another one are left out.

    Raises:
        CnnsearchError: the file cannot be read, or has too few rows of this precision.
    """
    where = f"--latency-table {path}"
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CnnsearchError(f"{where}: cannot be read: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        rows = [{}]
    chosen = [row for row in rows if row.get("quantize", precision) == precision]
    if rows and not chosen:
        raise CnnsearchError(f"{where}: has no row of --latency-precision {precision}")
    return MeasuredNetworks.from_data(chosen, where)


def _check_possible(settings: Settings) -> None:
    if settings.placement.ray is not None:
        raise CnnsearchError(
            "--ray: latency is measured on this machine, not on a cluster's; give --latency-table"
        )
    if get_backend() != "tensorflow":
        raise CnnsearchError(
            f"--max-latency: LiteRT is measured with Keras on TensorFlow, not on {get_backend()}"
        )


def _measure(
    settings: Settings, space: SearchSpace, dataset: Dataset, announce: Callable[[str], None]
) -> MeasuredNetworks:
    """Measures random candidates within the counted budget in a process of their own."""
    fitted = space.adapt(classes=dataset.classes, channels=dataset.channels)
    networks = list(islice(_sample(settings, fitted), SAMPLES))
    announce(f"Measuring the latency of {len(networks)} random candidates, to predict others'.")
    found = _measure_all(networks, dataset.image, settings.search.latency_precision)
    rows = [{"architecture": each.to_data(), "latency_ms": ms} for each, ms in found if ms]
    return MeasuredNetworks.from_data(rows, "random candidates of the space")


def _measure_all(
    networks: Sequence[Architecture], image: Sequence[int], precision: str
) -> Iterator[tuple[Architecture, float | None]]:
    """Yields networks with their latency; None: it cannot be converted.

    A network of which LiteRT dies is left out: its int8 kernels abort on some (seen in 2.1 on
    squeeze-and-excitation with very few channels).
    """
    left, deaths = list(networks), 0
    while left:
        done = 0
        try:
            for line in _stream(left, image, precision):
                yield left[done], json.loads(line)
                done += 1
        except CnnsearchError:
            deaths += 1
            if deaths > MOST_DEATHS:
                raise
        left = left[done + 1 :]


def _stream(
    networks: Sequence[Architecture], image: Sequence[int], precision: str
) -> Iterator[str]:
    task = {"networks": [each.to_data() for each in networks], "image": list(image)}
    return stream_module(
        "cnnsearch.training.latency",
        fail=lambda why: CnnsearchError(f"the latency cannot be measured: {why}"),
        environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=json.dumps({**task, "precision": precision}).encode(),
    )


def _sample(settings: Settings, space: SearchSpace) -> Iterator[Architecture]:
    """Yields random candidates within the counted budget, then others if there are too few."""
    drawn = list(sample_architectures(space, DRAWN, settings.search.seed))
    fitting = [each for each in drawn if _fits(settings, each)]
    yield from fitting
    if len(fitting) < SAMPLES:
        yield from (each for each in drawn if not _fits(settings, each))


def _fits(settings: Settings, network: Architecture) -> bool:
    cost, _ = try_count(network)
    return not isinstance(cost, ArchitectureError) and settings.search.budget.allows(cost)
