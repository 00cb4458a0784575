"""The training recipe as data, searched in the same words as the architecture."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnnsearch.errors import SpaceError
from cnnsearch.utils.safe_yaml import read_yaml
from cnnsearch.utils.validation_errors import explain

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
NEWER = frozenset({"whitening", "dirac", "norm_bias_rate", "quantize_aware", "batch_splits"})
"""Keys that runs begun earlier do not have; at its default, none is part of a recipe's identity."""


class RandAugment(BaseModel):
    """Cubuk et al. (arXiv:1909.13719): so many operations an image, all of one strength.

    Its geometric operations are composed into one map and applied before those on colours, so that
    an image is resampled once; ``equalize`` is not among them.

    Attributes:
        layers: operations an image.
        magnitude: from 0 (next to nothing) to 10 (30 degrees, factors from 0.1 to 1.9).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    layers: Annotated[int, Field(ge=1, le=8)] = 2
    magnitude: Annotated[int, Field(ge=0, le=10)] = 5


class Resizing(BaseModel):
    """Progressive resizing: small images at first, which cost less (arXiv:2104.00298, section 4).

    The network reads smaller images in the first epochs and is retraced when they grow; optimizer
    and schedule continue. For networks whose head pools globally.

    Attributes:
        start: share of the full side that the first epochs train on.
        until: share of the epochs after which images have their full size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    start: Annotated[float, Field(ge=0.25, lt=1.0)] = 0.5
    until: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.6


class TrainingRecipe(BaseModel):
    """How a candidate is trained.

    Attributes:
        optimizer: ``sgd`` is SGD with Nesterov momentum; ``adamw`` is Loshchilov & Hutter
            (arXiv:1711.05101); ``lion`` is Chen et al. (arXiv:2302.06675); ``muon`` is Jordan et
            al. (2024) for kernels of convolutions, and AdamW for the rest.
        learning_rate: its peak.
        momentum: of ``sgd``; the first beta of the others.
        weight_decay: decoupled where the optimizer allows; never on normalization and biases.
        batch_size: examples a step.
        batch_splits: equal parts of each batch, whose gradients are averaged and which a CPU
            computes side by side, each on its share of the cores. Normalization's statistics are
            those of a part (ghost batch normalization, arXiv:1705.08741).
        epochs: passes over the training split.
        schedule: ``cosine`` and ``one_cycle`` fall to zero at the last step; ``constant`` stays.
        warmup: share of all steps over which the rate climbs to its peak.
        label_smoothing: Szegedy et al. (arXiv:1512.00567), section 7.
        flip: mirror images left to right at random; ``alternate``: each image in every second
            epoch (Jordan, arXiv:2404.00498, section 3.6); None: at random where the data allows it.
        shift: shift images at random by up to this share of their side (a random crop after
            padding with the edge's own pixels); None: an eighth; for a frozen ``backbone`` 0.
        randaugment: random operations on geometry and colours; None: none.
        erasing: share of images of which a rectangle is erased, Zhong et al. (arXiv:1708.04896).
        mixup: alpha of the beta distribution, Zhang et al. (arXiv:1710.09412); 0: none.
        cutmix: alpha, Yun et al. (arXiv:1905.04899); 0: none. With mixup, one of both a batch.
        clip_norm: bound on the global norm of the gradient; None: none.
        early_stopping: epochs without a better validation accuracy that end it; None: never.
        batch_norm_momentum: None ties it to the number of steps, so that the moving statistics of a
            short training are those of its last third.
        ema: decay of an exponential moving average of the weights; None: none.
        drop_path: rate of stochastic depth at the last block (arXiv:1603.09382), in place of the
            architecture's own; None: the architecture's.
        resizing: small images in the first epochs; None: the full size throughout.
        trainable: which weights move: ``all``, the ``head``'s, those of the normalization layers
            and the head (``norms``), Frankle et al. (arXiv:2003.00152), or a number: those of so
            many last stages and the head.
        unfreeze_after: share of the epochs after which all weights move; None: never.
        unfreeze_rate: factor of the learning rate from then on, of a schedule of its own.
        whitening: start the first convolution with filters that whiten the training images' patches
            (arXiv:2404.00498, section 3.2) instead of random ones.
        dirac: start convolutions between maps of equal width as the identity (arXiv:2404.00498).
        norm_bias_rate: factor of the learning rate of normalization layers' biases.
        quantize_aware: share of the epochs, the last ones, in which values are rounded as an int8
            file rounds them (Jacob et al., arXiv:1712.05877), and of which the best is kept; None:
            none. What is measured and saved are float weights, to be exported in int8.
        precision: of activations; weights, statistics, losses and what is exported stay float32.
            ``auto``: bfloat16 where the device computes faster with it, float32 elsewhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    optimizer: Literal["adamw", "sgd", "lion", "rmsprop", "muon"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0.0, le=100.0)] = 3e-3
    momentum: Fraction = 0.9
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 1e-4
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 64
    batch_splits: Annotated[int, Field(ge=1, le=256)] = 1
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    warmup: Fraction = 0.1
    label_smoothing: Fraction = 0.0
    flip: bool | Literal["alternate"] | None = None
    shift: Annotated[float, Field(ge=0.0, le=0.5)] | None = None
    randaugment: RandAugment | None = None
    erasing: Fraction = 0.0
    mixup: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    cutmix: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0.0)] | None = None
    early_stopping: Annotated[int, Field(ge=1)] | None = None
    batch_norm_momentum: Fraction | None = None
    ema: Fraction | None = None
    drop_path: Fraction | None = None
    resizing: Resizing | None = None
    trainable: Literal["all", "head", "norms"] | Annotated[int, Field(ge=1)] = "all"
    unfreeze_after: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    unfreeze_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    whitening: bool = False
    dirac: bool = False
    norm_bias_rate: Annotated[float, Field(gt=0.0, le=1000.0)] = 1.0
    quantize_aware: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @classmethod
    def from_data(cls, data: object, source: str = "recipe") -> Self:
        """Reads plain data.

        Raises:
            SpaceError: one line: source, key, rule and value.
        """
        try:
            return cls.model_validate_json(json.dumps(data))
        except ValidationError as error:
            raise SpaceError(f"{source}: recipe.{explain(error, data, cls)}") from None

    def change(self, changes: Iterable[str], flag: str = "--set") -> Self:
        """Returns the recipe with values of ``key=value``, the value in YAML.

        Raises:
            SpaceError: there is no such key, or not this value for it.
        """
        values = self.to_data()
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals:
                raise SpaceError(f"{flag}: expected key=value such as ema=0.99, got {change!r}")
            values |= read_yaml(f"{key}: {value}", flag)
        return self.from_data(values, flag)

    def drop_unused(self) -> Self:
        """Returns the recipe with the default for ``unfreeze_rate`` where nothing is unfrozen."""
        default = type(self).model_fields["unfreeze_rate"].default
        if self.unfreeze_after is not None or self.unfreeze_rate == default:
            return self
        return self.model_copy(update={"unfreeze_rate": default})

    def train_all(self) -> Self:
        """Returns the recipe with the defaults for what is trained: all weights from the start."""
        keys = ("trainable", "unfreeze_after", "unfreeze_rate")
        return self.model_copy(update={key: type(self).model_fields[key].default for key in keys})

    def to_data(self) -> dict[str, Any]:
        """Returns every value, defaults too: a recorded recipe must not change with a default."""
        return self.model_dump(mode="json")

    def identify(self) -> dict[str, Any]:
        """Returns the values that fingerprints and seeds are derived from.

        A key of :data:`NEWER` at its default is left out: adding it changed no candidate.
        """
        values = self.to_data()
        fields = type(self).model_fields
        return {k: v for k, v in values.items() if k not in NEWER or v != fields[k].default}
