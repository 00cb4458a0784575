"""A search space as an ordinary Keras Tuner ``HyperModel``."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from keras_tuner import HyperModel, HyperParameters
from keras_tuner.errors import FailedTrialError

from cnnsearch.errors import ArchitectureError, SpaceError
from cnnsearch.oracles.convert import active_values, to_hyperparameters

if TYPE_CHECKING:
    from cnnsearch.space.candidate import Candidate
    from cnnsearch.space.search_space import SearchSpace

TRIES = 64  # random candidates tried for one that can be wired, to be the default


class SpaceHyperModel(HyperModel):
    """Builds and compiles candidates of a space for any Keras Tuner tuner.

    Args:
        space: The space; ``space.adapt(classes=..., channels=...)`` fits it to the data.
        steps_per_epoch: Optimizer steps an epoch, on which schedule and BatchNorm momentum rest.
        epochs: Epochs of a trial; the recipe's own number if None.
        mean: Per channel, of training pixels scaled to [0, 1]; None for no normalization.
        std: Per channel, likewise.
        name: Name of the hypermodel; the space's if None.

    Keras Tuner's own ``Tuner.run_trial`` imports ``tensorboard`` on the TensorFlow backend, which
    TensorFlow no longer installs: install it beside, or use ``cnnsearch.search``.
    """

    def __init__(
        self,
        space: "SearchSpace",
        *,
        steps_per_epoch: int = 100,
        epochs: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        if space.list_backbones():
            raise SpaceError(f"{space.source}: backbones: a HyperModel does not load their weights")
        self.space = space
        self.steps_per_epoch = steps_per_epoch
        self.epochs = epochs
        self.mean, self.std = mean, std
        super().__init__(name or space.name)

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Declares every hyperparameter of the space with its conditions, before anything is built.

        The defaults are a candidate that can be wired, as tuners build that one first.
        """
        declared = to_hyperparameters(self.space.parameters, self._find_defaults())
        hp.merge(declared, overwrite=False)  # what a user has declared before stays as it is

    def _find_defaults(self) -> dict[str, Any]:
        rng = Random(0)
        for _ in range(TRIES):
            values = self.space.sample(rng)
            try:
                self.space.cost(values)
            except (ArchitectureError, SpaceError):
                continue
            return values
        return {}

    def candidate(self, hp: HyperParameters) -> "Candidate":
        """Returns the architecture and the recipe that the active hyperparameters describe."""
        missing = [p.name for p in self.space.list_active(hp.values) if p.name not in hp.values]
        if missing or not hp.space:
            self.declare_hyperparameters(hp)
        return self.space.decode(active_values(self.space.parameters, hp.values))

    def build(self, hp: HyperParameters) -> Any:
        """Returns the compiled Keras model of ``hp``, from raw pixels (0 to 255) to logits.

        Its metric is ``accuracy``, so the objective is ``"val_accuracy"``; labels are integers.

        Raises:
            FailedTrialError: The candidate cannot be wired; Keras Tuner continues with the next.
        """
        from cnnsearch.training.keras_fit import choose_batch_norm_momentum, compile_model
        from cnnsearch.training.model import build

        candidate = self.candidate(hp)
        recipe, steps = candidate.recipe, self.steps_per_epoch
        epochs = self.epochs or recipe.epochs
        momentum = choose_batch_norm_momentum(recipe, steps, epochs)
        architecture, mean, std = candidate.architecture, self.mean, self.std
        try:
            model = build(architecture, mean=mean, std=std, batch_norm_momentum=momentum)
        except ArchitectureError as error:
            raise FailedTrialError(str(error)) from None
        compile_model(model, recipe, steps_per_epoch=steps, epochs=epochs)
        return model

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains with the recipe's batch size and epochs, unless the tuner's call gives its own."""
        recipe = self.candidate(hp).recipe
        kwargs.setdefault("epochs", self.epochs or recipe.epochs)
        if isinstance(args[0] if args else kwargs.get("x"), np.ndarray):
            kwargs.setdefault("batch_size", recipe.batch_size)
        return super().fit(hp, model, *args, **kwargs)


def hypermodel(space: "SearchSpace", **options: Any) -> SpaceHyperModel:
    """Returns an ordinary ``HyperModel`` of a space for any Keras Tuner tuner.

    Args:
        space: the space; ``space.adapt(classes=..., channels=...)`` fits it to the data.
        **options: those of :class:`SpaceHyperModel`.
    """
    return SpaceHyperModel(space, **options)
