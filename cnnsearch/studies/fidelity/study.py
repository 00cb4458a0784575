"""Measures whether short trainings rank a space's candidates as long ones do.

Run it before spending a search's budget: where the rank correlation is low, a search's best is not
the best. Candidates are drawn at random within the budget and trained short and long, each from
scratch with a seed of its own. Nothing is read off the curves of long trainings: the learning rate
schedule and BatchNorm's momentum depend on a training's length, so the first epochs of a long
training are not a short training.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cnnsearch.data import Dataset, save_source
from cnnsearch.data.views import take_share
from cnnsearch.engine.backbones import refuse_backbones
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.initial_weights import resize_space
from cnnsearch.engine.placement import find_gpus, make_executor
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import (
    check_same_data,
    check_same_settings,
    create_manifest,
    keep_earlier,
)
from cnnsearch.engine.search import RUNS, free_name
from cnnsearch.engine.session import fit_space, open_session, warm_up
from cnnsearch.engine.settings import Settings, find_setting_flag
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.oracles.random_search import RandomSearch
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_space
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
from cnnsearch.studies.fidelity.session import KIND, train_variants
from cnnsearch.studies.figures import save_figure
from cnnsearch.utils import environment

FIGURE = "fidelity.png"
FIXED = frozenset({"strategy", "trials", "max_time", "epochs", "changes", "weights", "freeze"})
"""Settings of a search that the study sets itself, or cannot keep."""


def fidelity(
    space: str | Path | SearchSpace,
    data: object = "digits",
    *,
    candidates: int = 30,
    short: int | Sequence[int] | None = None,
    long: int | None = None,
    levers: Sequence[str] = (),
    train_share: float = 1.0,
    image: str | int | None = None,
    recipe: Mapping[str, Any] | None = None,
    repeat: int = 0,
    name: str | None = None,
    runs: str | Path = RUNS,
    plot: str | Path | None = None,
    callback: SearchCallback | None = None,
    **settings: Any,
) -> FidelityReport:
    """Trains a sample of a space's candidates short and long and compares the rankings.

    The same name again resumes the study; with other ``short`` lengths or ``levers`` only these are
    trained, and compared with the long trainings that exist.

    Args:
        space: as for :func:`cnnsearch.search`.
        data: likewise.
        candidates: how many to draw at random within the budget, without repetition.
        short: epochs of the short trainings; None: the recipe's, as in a search.
        long: epochs of the long ones; None: four times the longest short.
        levers: more ways to train short, ``"ema=0.9"`` or ``"image=16,epochs=4"``: keys of the
            recipe, ``epochs``, ``train_share`` or ``image``.
        train_share: stratified share of the training split for short trainings; long ones get all.
        image: height and width of the images in short trainings.
        recipe: keys of the recipe that are set for all trainings, short and long.
        repeat: how many candidates to train long a second time, for the noise of seeds.
        name: of the run; None: the space's name, ``-fidelity`` and a number.
        runs: the folder that holds all runs.
        plot: path of the figure; None: in the run's folder.
        callback: is called on events.
        **settings: other settings of :func:`cnnsearch.search`: seed (of sample, split and
            trainings), max_params, max_macs, objective, workers (default: 1) …

    Returns:
        The report; of an interrupted study, what can be compared by then.

    Raises:
        CnnsearchError: an option is invalid, in one line.
    """
    root = Path(runs)
    loaded = space if isinstance(space, SearchSpace) else find_space(space, root)
    loaded = set_recipe_keys(loaded, recipe or {})
    settings["data"] = save_source(data, root / ".cache")
    made = _make_settings(loaded, candidates, settings)
    variants = plan_variants(
        loaded.decode_first().recipe.epochs if short is None else short,
        long,
        levers=levers,
        train_share=train_share,
        image=image,
        repeat=repeat,
    )
    study = Study(loaded, made, variants, repeat)
    study.check()
    chosen = free_name(root, f"{loaded.name}-fidelity") if name is None else name
    return study.run(root, chosen, None if plot is None else Path(plot), callback)


def _make_settings(space: SearchSpace, candidates: int, given: Mapping[str, Any]) -> Settings:
    fixed = next((key for key in given if key in FIXED), None)
    if fixed is not None:
        raise CnnsearchError(f"{find_setting_flag(fixed)}: is not an option of a fidelity study")
    own = {"strategy": RandomSearch.name, "trials": candidates}
    return Settings.create(space.text, space.source, **{"workers": 1, **given, **own})


def read_recipe(texts: Sequence[str]) -> dict[str, Any]:
    """Reads each ``key=value`` of ``--set``."""
    return {key: value for text in texts for key, value in read_changes(text, "--set").items()}


@dataclass(frozen=True)
class Study:
    """A space, the random search that samples it, and the variants to train each candidate by."""

    space: SearchSpace
    settings: Settings
    variants: Sequence[Variant]
    repeat: int = 0

    def check(self) -> None:
        """Refuses invalid options before anything takes time."""
        find_gpus(self.settings.placement.gpus)
        refuse_backbones(self.space, "fidelity")
        wanted = self.settings.search.trials or 0
        if wanted < FEWEST:
            raise CnnsearchError(f"--candidates: expected at least {FEWEST}, got {wanted}")
        if not 0 <= self.repeat <= wanted:
            raise CnnsearchError(f"--repeat: expected 0 to {wanted} candidates, got {self.repeat}")
        first = self.space.decode_first()
        for variant in self.variants:
            if variant.image is not None:
                resize_space(self.space, variant.image)
            variant.apply(first)

    def run(
        self, root: Path, name: str, plot: Path | None, callback: SearchCallback | None
    ) -> FidelityReport:
        """Creates or reopens the run, trains what is missing, and compares."""
        settings = self.settings
        reopened = RunDirectory.open(root, name) if RunDirectory.exists(root, name) else None
        if reopened is not None:
            settings = keep_earlier(reopened, settings)
            check_same_settings(reopened, settings, KIND)
        environment.configure_backend()
        dataset = load_data(settings, self.space, root)
        if reopened is not None:
            check_same_data(reopened, dataset)
        executor = make_executor(settings.placement)
        warm_up(executor)
        sample = draw_sample(self.space, settings, dataset)
        planned = list(plan_trainings(sample, self.variants, settings.search.seed, self.repeat))
        run = reopened or self._create_run(root, name, dataset)
        with closing(run), open_session(run, settings, callback, executor) as session:
            load = partial(self._load_view, settings, dataset, root)
            reason = train_variants(session, self.space, planned, load)
            session.close(reason)
            return self._report(run, reason, plot, planned)

    def _create_run(self, root: Path, name: str, dataset: Dataset) -> RunDirectory:
        record = create_manifest(self.space.name, self.settings, dataset)
        return RunDirectory.create(root, name, {**record, "kind": KIND}, self.space.text)

    def _load_view(
        self, settings: Settings, full: Dataset, root: Path, variant: Variant
    ) -> Dataset:
        """Returns the data that a variant is trained on."""
        if variant.image is None:
            return take_share(full, variant.train_share, settings.search.seed)
        size = "x".join(map(str, variant.image))
        changed = settings.replace(image=size, train_share=variant.train_share)
        return load_data(changed, self.space, root)

    def _report(
        self, run: RunDirectory, reason: str, plot: Path | None, planned: Sequence[Training]
    ) -> FidelityReport:
        trials = {trial.id: trial for trial in run.db.get_trials()}
        report = summarize(
            [trials[one.trial_id] for one in planned if one.trial_id in trials],
            self.variants,
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
        from cnnsearch.studies.fidelity.plot import draw_figure

        path = plot or run.path / FIGURE
        save_figure(draw_figure(report), path)
        return replace(report, plot=path)


def draw_sample(space: SearchSpace, settings: Settings, dataset: Dataset) -> list[SampledCandidate]:
    """Draws the sample: the first candidates of a random search with this seed.

    Raises:
        CnnsearchError: the space holds too few candidates within the budget.
    """
    from cnnsearch.engine.search_oracle import NullStore, make_oracle

    fitted = fit_space(space, dataset)
    oracle = make_oracle(settings, fitted, NullStore())
    sample: list[SampledCandidate] = []
    for number in range(1, (settings.search.trials or 0) + 1):
        proposal = oracle.propose(f"draw-{number}")
        if not isinstance(proposal, Proposal):
            break
        sample.append(SampledCandidate(number, proposal.values, fitted.decode(proposal.values)))
    if len(sample) < FEWEST:
        raise CnnsearchError(
            f"{space.source}: holds only {len(sample)} candidates within the budget, "
            f"a rank correlation needs {FEWEST}"
        )
    return sample
