"""Predicts how long a candidate trains, from those that have been trained on this machine."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.database import RunDatabase
from cnnsearch.runs.lookup import read_candidate
from cnnsearch.runs.records import BASELINE, TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.frozen import find_obstacle

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

Terms = tuple[float, ...]
VALIDATED = 1 / 3
"""Work for an image that is evaluated, in that for one that is trained on."""
LONGER: Final = 5
"""Epochs of a final training by default, as a multiple of a candidate's."""
PRIOR = (2.0, 0.1, 7e-11, 1e-10, 7e-10, 1e-9, 1.2e-9, 1e-4)
"""Seconds for each of a candidate's terms, roughly, on two cores: only their ratios matter."""
LATEST: Final = 300
"""Trained candidates that a prediction is fitted to: more of them cost time and change little."""
TRUST = 0.1
"""Weight of these ratios, in that of a trained candidate."""
MEASURED: Final = "measured_times"
"""The event of a search whose ``rows`` are candidates timed ahead of it, see `time_measurement`."""
Known = Sequence[tuple[Terms, float]]
"""Trainings, each by its terms and seconds."""


@dataclass(frozen=True)
class TrainingTime:
    """A linear model of seconds, its coefficients not negative.

    Start, layers to trace, and in each epoch: multiply-accumulates of three kinds, values put out
    and values of smooth activations, all times images, and layers times steps. Relative errors are
    minimized. A few candidates do not determine eight coefficients: ratios that are usual on CPUs
    have the weight of a fraction of a candidate.

    Attributes:
        weights: seconds for each term.
    """

    weights: tuple[float, ...]

    @classmethod
    def fit(
        cls, trials: Sequence[TrialRecord], train: int, validation: int
    ) -> "TrainingTime | None":
        """Returns the model of a search's completed trials; None: there are none.

        Args:
            trials: of one run, on one machine.
            train: images in the training split.
            validation: images in the validation split.
        """
        known = [t for t in trials if t.status == "completed" and t.seconds]
        return cls.fit_terms(
            [(_list_terms_of(t, train, validation), t.seconds or 0.0) for t in known]
        )

    @classmethod
    def fit_terms(cls, known: Known, measured: Known = ()) -> "TrainingTime | None":
        """Returns the model of trainings, each given by its terms and seconds.

        Args:
            known: what was trained to the end.
            measured: extrapolated from a few steps; only their ratios count beside ``known``, and
                each the less, the more is known.
        """
        import numpy as np
        from scipy.optimize import nnls

        if not known and not measured:
            return None
        if known and measured:
            measured = _rescale(measured, known)
        rows = np.array([terms for terms, _ in (*known, *measured)])
        seconds = np.array([each for _, each in (*known, *measured)])
        weights = np.repeat([1.0, 1 / (1 + len(known))], [len(known), len(measured)])
        shares = rows * PRIOR / seconds[:, None]
        scale = float(np.median(1 / shares.sum(axis=1)))
        held = TRUST * np.eye(len(PRIOR))
        found, _ = nnls(
            np.vstack([weights[:, None] * shares * scale, held]),
            np.concatenate([weights, TRUST * np.ones(len(PRIOR))]),
        )
        return cls(tuple(float(x) for x in found * PRIOR * scale))

    def multiply(self, terms: Terms) -> float:
        """Returns the seconds of a training with these terms."""
        return sum(weight * term for weight, term in zip(self.weights, terms, strict=True))

    def predict(
        self, candidate: Candidate, epochs: int, train: int, validation: int
    ) -> float | None:
        """Returns the seconds of a training; None: the architecture cannot be wired."""
        try:
            terms = _list_terms(candidate, epochs, train, validation)
        except CnnsearchError:
            return None
        return self.multiply(terms)


def _rescale(measured: Known, known: Known) -> Known:
    """Returns measured trainings with seconds that agree with known ones in the median.

    A machine that was busy for the seconds of a measurement makes all of them wrong alike.
    """
    model = TrainingTime.fit_terms((), measured)
    if model is None:
        return ()
    factor = median(seconds / model.multiply(terms) for terms, seconds in known)
    return [(terms, factor * seconds) for terms, seconds in measured]


def _list_terms_of(trial: TrialRecord, train: int, validation: int) -> Terms:
    epochs = trial.metrics.get("epochs", trial.epochs) - trial.initial_epoch
    return _list_terms(read_candidate(trial, trial.id), int(epochs), train, validation)


def _list_terms(candidate: Candidate, epochs: int, train: int, validation: int) -> Terms:
    """Returns start, layers, and work of all epochs; in the order of ``PRIOR``."""
    *work, layers = candidate.work
    images = _count_images(candidate, epochs, train, validation)
    steps = epochs * max(1, train // candidate.recipe.batch_size)
    return 1.0, layers, *(images * each for each in work), layers * steps


def _count_images(candidate: Candidate, epochs: int, train: int, validation: int) -> float:
    """Returns the images of a training, in units of one that is trained on."""
    whole, recipe = train + VALIDATED * validation, candidate.recipe
    if candidate.backbone is None or recipe.trainable in ("all", "norms"):
        return epochs * whole
    frozen = epochs if recipe.unfreeze_after is None else round(recipe.unfreeze_after * epochs)
    passes = frozen * (train + validation)
    if not find_obstacle(recipe, recipe.trainable):  # once, the training images mirrored too
        passes = 2 * train + validation
    return (epochs - frozen) * whole + VALIDATED * passes


class TimePredictor:
    """Predicts the training time of a search's candidates; learns from each that is completed.

    Before, it knows what was measured ahead of the search, if anything was.

    Args:
        db: of the run.
        data: that candidates are trained on.

    Attributes:
        baseline: seconds that the plain baseline was trained; 0: it was not.
        trained: trials that were completed.
    """

    def __init__(self, db: RunDatabase, data: Dataset) -> None:
        self._db, self._images = db, (data.train.count, data.validation.count)
        self.baseline = 0.0
        self.trained = 0
        self._seen = 0
        self._known: deque[tuple[Terms, float]] = deque(maxlen=LATEST)
        self._measured: list[tuple[Terms, float]] = []
        self._model: TrainingTime | None = None

    @property
    def is_measured(self) -> bool:
        """Whether candidates were timed ahead of the search."""
        self._update()
        return bool(self._measured)

    @property
    def needs_measurement(self) -> bool:
        """Whether there is nothing to predict from."""
        self._update()
        return self._model is None

    def predict(self, candidate: Candidate, epochs: int) -> float | None:
        """Returns seconds; None: no candidate has been trained or timed."""
        self._update()
        if self._model is None:
            return None
        return self._model.predict(candidate, epochs, *self._images)

    def _update(self) -> None:
        """Reads what is new since the last call alone: a search may have thousands of trials."""
        if self._db.get_last_seq() > self._seen:
            self._learn()

    def _learn(self) -> None:
        ended, is_measured = list[str](), False
        while events := self._db.get_events(after=self._seen):
            self._seen = events[-1].seq
            for event in events:
                if event.kind == "trial_ended" and event.trial_id:
                    ended.append(event.trial_id)
                elif event.kind == MEASURED:
                    self._measured = [self._read_measured(row) for row in event.data["rows"]]
                    is_measured = True
        if ended:
            self._read(ended)
        if ended or is_measured:
            self._model = TrainingTime.fit_terms(sorted(self._known), self._measured)

    def _read_measured(self, row: Mapping[str, Any]) -> tuple[Terms, float]:
        candidate = Candidate(
            Architecture.from_data(row["architecture"], MEASURED),
            TrainingRecipe.from_data(row["recipe"], MEASURED),
        )
        return _list_terms(candidate, row["epochs"], *self._images), row["seconds"]

    def _read(self, ended: Sequence[str]) -> None:
        """Learns from the latest of these trials; a resumed search may have thousands."""
        many = len(ended) > 1
        found = self._db.get_trials() if many else [self._db.get_trial(ended[0])]
        chosen = set(ended)
        done = [t for t in found if t.id in chosen and t.status == "completed" and t.seconds]
        self.trained += len(done)
        for trial in done[-LATEST:]:
            self._known.append((_list_terms_of(trial, *self._images), trial.seconds or 0.0))
        baseline = [trial.seconds or 0.0 for trial in done if trial.role == BASELINE]
        self.baseline = max([self.baseline, *baseline])


def estimate_final_training(best: TrialRecord, train: int, validation: int) -> float | None:
    """Returns the seconds of one final training with default settings; None: not known.

    Args:
        best: the candidate to train: on both splits, for ``LONGER`` times as many epochs.
        train: images in the training split.
        validation: images in the validation split.
    """
    trained = best.epochs - best.initial_epoch
    if not best.seconds or trained < 1:
        return None
    more = (train + validation) / (train + VALIDATED * validation)
    return best.seconds / trained * more * LONGER * best.epochs
