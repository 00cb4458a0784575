"""Measures whether short trainings rank a space's candidates as long ones do.

Read it before spending a budget: where the rank correlation is low, a search's best is not the
best. Candidates are drawn at random within the budget, trained short and long, each from scratch
with a seed of its own: the schedule ends with the training (and BatchNorm's momentum goes with its
length), so the first epochs of a long training are no short training, and nothing is read off the
curves of long ones.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.data import Dataset
from cnnsearch.data.views import take_share
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.initial_weights import resize_space
from cnnsearch.engine.placement import find_gpus, make_executor
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import check_same_data, check_same_settings, create_manifest
from cnnsearch.engine.search import RUNS, free_name
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.random_search import RandomSearch
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity.plan import (
    SampledCandidate,
    Training,
    Variant,
    plan_trainings,
    plan_variants,
    read_changes,
    set_recipe_keys,
)
from cnnsearch.studies.fidelity.results import FEWEST, FidelityReport, summarize
from cnnsearch.utils import environment

if TYPE_CHECKING:
    from cnnsearch.studies.fidelity.session import Session

LONGER = 4
"""How many times the short epochs a long training has, unless it is said."""
PICTURE = "fidelity.png"
KIND = "fidelity"
"""What ``run.json`` says that such a run is."""


def fidelity(
    space: str | Path | SearchSpace,
    data: str = "digits",
    *,
    candidates: int = 30,
    short: int | Sequence[int] | None = None,
    long: int | None = None,
    levers: Sequence[str] = (),
    train_share: float = 1.0,
    image: str | int | None = None,
    recipe: Mapping[str, Any] | None = None,
    repeat: int = 0,
    seed: int = 0,
    max_params: str | int | None = None,
    max_macs: str | int | None = None,
    name: str | None = None,
    runs: str | Path = RUNS,
    workers: int = 1,
    plot: str | Path | None = None,
    skip_bad_images: bool = False,
    data_dir: str | None = None,
    mlflow_uri: str | None = None,
    trial_timeout: str | float | None = None,
    callback: SearchCallback | None = None,
) -> FidelityReport:
    """Trains a sample of a space's candidates short and long and compares the rankings.

    The same name again goes on where it stopped; with other ``short`` lengths or ``levers`` only
    these are trained, against the long trainings that are there.

    Args:
        space: as for :func:`cnnsearch.search`.
        data: likewise.
        candidates: how many to draw, at random within the budget, no two alike.
        short: epochs of the short trainings; None: what the space's recipe says, as in a search.
        long: epochs of the long ones; None: four times the longest short.
        levers: more ways to train short, ``"ema=0.9"`` or ``"image=16,epochs=4"``: keys of the
            recipe, ``epochs``, ``train_share`` or ``image``.
        train_share: stratified share of train that short trainings learn from; long ones have all.
        image: height and width that candidates read in short trainings.
        recipe: keys of the recipe that are set for all trainings, short and long.
        repeat: how many candidates to train long a second time, for the noise of seeds.
        seed: of sample, split and trainings.
        max_params: the most trainable parameters.
        max_macs: the most multiply-accumulates for one image.
        name: of the run; None: the space's name, ``-fidelity`` and a number.
        runs: the folder that holds all runs.
        workers: trainings side by side; 0: in this process.
        plot: where the picture goes; None: into the run's folder.
        skip_bad_images: leave unreadable images out instead of refusing them.
        data_dir: where TensorFlow Datasets keeps what it prepared.
        mlflow_uri: where MLflow tracks; None: an SQLite store in ``runs``.
        trial_timeout: how long one training may take.
        callback: is told what happens; None: nobody is.

    Returns:
        What was found; of an interrupted study, what can be told by then.

    Raises:
        CnnsearchError: a mistake in what was asked, in one line.
    """
    loaded = space if isinstance(space, SearchSpace) else SearchSpace.load(space)
    loaded = set_recipe_keys(loaded, recipe or {})
    settings = Settings.create(
        loaded.text,
        loaded.source,
        data=data,
        strategy=RandomSearch.name,
        max_params=max_params,
        max_macs=max_macs,
        seed=seed,
        skip_bad_images=skip_bad_images,
        data_dir=data_dir,
        trials=candidates,
        workers=workers,
        mlflow_uri=mlflow_uri,
        trial_timeout=trial_timeout,
    )
    study = Study(loaded, settings, _ways(loaded, short, long, levers, train_share, image, repeat))
    study.check(repeat)
    root = Path(runs)
    chosen = free_name(root, f"{loaded.name}-fidelity") if name is None else name
    return study.run(root, chosen, repeat, None if plot is None else Path(plot), callback)


def _ways(
    space: SearchSpace,
    short: int | Sequence[int] | None,
    long: int | None,
    levers: Sequence[str],
    train_share: float,
    image: str | int | None,
    repeat: int,
) -> list[Variant]:
    lengths = [space.first().recipe.epochs] if short is None else short
    lengths = [lengths] if isinstance(lengths, int) else list(lengths)
    if not lengths:
        raise CnnsearchError("--short: expected at least one number of epochs")
    size = None if image is None else str(image)
    wanted = LONGER * max(lengths) if long is None else long
    return plan_variants(
        lengths, wanted, levers=levers, train_share=train_share, image=size, repeat=repeat
    )


def read_recipe(texts: Sequence[str]) -> dict[str, Any]:
    """Reads ``key=value`` of ``--set``, given any number of times.

    Raises:
        CnnsearchError: one is not of this form.
    """
    return {key: value for text in texts for key, value in read_changes(text, "--set").items()}


@dataclass(frozen=True)
class Study:
    """A space, how it is sampled, and the ways in which its candidates are trained."""

    space: SearchSpace
    settings: Settings
    ways: Sequence[Variant]

    def check(self, repeat: int) -> None:
        """Refuses what makes no sense before anything takes time."""
        find_gpus(self.settings.placement.gpus)
        wanted = self.settings.search.trials or 0
        if wanted < FEWEST:
            raise CnnsearchError(f"--candidates: expected at least {FEWEST}, got {wanted}")
        if not 0 <= repeat <= wanted:
            raise CnnsearchError(f"--repeat: expected 0 to {wanted} candidates, got {repeat}")
        first = self.space.first()
        for way in self.ways:
            if way.image is not None:
                resize_space(self.space, way.image)
            way.apply(first)

    def run(
        self, root: Path, name: str, repeat: int, plot: Path | None, callback: SearchCallback | None
    ) -> FidelityReport:
        """Makes or reopens the run, trains what is missing, and compares."""
        settings = self.settings
        reopened = RunDirectory.open(root, name) if RunDirectory.exists(root, name) else None
        if reopened is not None:
            check_same_settings(reopened, settings, KIND)
        environment.configure_backend()
        dataset = load_data(settings, self.space, root)
        executor = make_executor(settings.placement)
        executor.warm()
        environment.import_frameworks()
        drawn = draw(self.space, settings, dataset)
        run = reopened or self._created(root, name, dataset)
        planned = list(plan_trainings(drawn, self.ways, settings.search.seed, repeat))
        with closing(run), run.lock():
            check_same_data(run, dataset)
            session = self._session(run, dataset, executor, callback)
            reason = session.train(planned)
            return self._report(run, reason, plot, planned)

    def _created(self, root: Path, name: str, dataset: Dataset) -> RunDirectory:
        record = create_manifest(self.space.name, self.settings, dataset)
        return RunDirectory.create(root, name, {**record, "kind": KIND}, self.space.text)

    def _session(
        self, run: RunDirectory, data: Dataset, executor: Executor, callback: SearchCallback | None
    ) -> "Session":
        from cnnsearch.studies.fidelity.session import Session

        return Session(run, self.settings, self.space, self._dataset(data, run), executor, callback)

    def _dataset(self, full: Dataset, run: RunDirectory) -> Any:
        """Returns what gives the data set that a way of training sees."""

        def of(way: Variant) -> Dataset:
            if way.image is None:
                return take_share(full, way.train_share, self.settings.search.seed)
            size = "x".join(map(str, way.image))
            wanted = self.settings.replace(image=size, train_share=way.train_share)
            return load_data(wanted, self.space, run.path.parent)

        return of

    def _report(
        self, run: RunDirectory, reason: str, plot: Path | None, planned: Sequence[Training]
    ) -> FidelityReport:
        trials = {trial.id: trial for trial in run.db.get_trials()}
        mine = [trials[one.trial_id] for one in planned if one.trial_id in trials]
        report = summarize(
            mine,
            self.ways,
            reason,
            run=run.path,
            space=self.space.name,
            data=self.settings.data.source,
        )
        if not report.comparisons:
            return report
        rank = report.best.spearman
        found = {"spearman": rank.value, "low": rank.low, "high": rank.high}
        run.db.append("fidelity", {**found, "way": report.best.label})
        from cnnsearch.studies.fidelity.plot import save_figure

        path = plot or run.path / PICTURE
        save_figure(report, path)
        return replace(report, plot=path)


def draw(space: SearchSpace, settings: Settings, dataset: Dataset) -> list[SampledCandidate]:
    """Draws the sample: the first candidates of a random search with this seed.

    Raises:
        CnnsearchError: the space holds too few within the budget, or none.
    """
    from cnnsearch.engine.session import Nowhere, fitted, make_oracle
    from cnnsearch.oracles.protocol import Proposal

    adapted = fitted(space, dataset)
    oracle = make_oracle(settings, adapted, Nowhere())
    drawn: list[SampledCandidate] = []
    for number in range(1, (settings.search.trials or 0) + 1):
        proposal = oracle.propose(f"draw-{number}")
        if not isinstance(proposal, Proposal):
            break
        drawn.append(SampledCandidate(number, proposal.values, adapted.decode(proposal.values)))
    if len(drawn) < FEWEST:
        raise CnnsearchError(
            f"{space.source}: holds only {len(drawn)} candidates within the budget, "
            f"a rank correlation needs {FEWEST}"
        )
    return drawn
