"""Layers that Keras does not have; registered, so that saved models load without arguments."""

from typing import Any

import keras
from keras import ops

PACKAGE = "cnnsearch"


@keras.saving.register_keras_serializable(PACKAGE)
class LocalResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Divides by the energy of neighbouring channels (Krizhevsky et al., 2012, section 3.3).

    Args:
        radius: channels on either side.
        bias: k of the paper.
        alpha: of the paper; multiplies the sum of squares.
        beta: the exponent.
    """

    def __init__(
        self, radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kw: Any
    ) -> None:
        super().__init__(**kw)
        self.radius, self.bias, self.alpha, self.beta = radius, bias, alpha, beta

    def call(self, x: Any) -> Any:
        """Returns maps of the shape of ``x``."""
        channels = x.shape[-1]
        squares = ops.pad(ops.square(x), [[0, 0]] * 3 + [[self.radius, self.radius]])
        width = 2 * self.radius + 1
        energy = sum(squares[..., i : i + channels] for i in range(width))
        return x * ops.power(self.bias + self.alpha * energy, -self.beta)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        own = {"radius": self.radius, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(PACKAGE)  # type: ignore[untyped-decorator]
def gelu_tanh(x: Any) -> Any:
    """GELU's approximation by tanh (arXiv:1606.08415, section 2)."""
    return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable(PACKAGE)  # type: ignore[untyped-decorator]
def quick_gelu(x: Any) -> Any:
    """GELU's approximation by a sigmoid (arXiv:1606.08415, section 2)."""
    return x * ops.sigmoid(1.702 * x)


TINY = 1e-12  # its square root is far below what a channel that is not dead adds up to


@keras.saving.register_keras_serializable(PACKAGE)
class GlobalResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Weighs channels by their energy over that of the others (ConvNeXt V2, arXiv:2301.00808).

    Args:
        epsilon: added to the mean energy.
    """

    def __init__(self, epsilon: float = 1e-6, **kw: Any) -> None:
        super().__init__(**kw)
        self.epsilon = epsilon

    def build(self, shape: Any) -> None:
        """Makes the weights; at first the layer is the identity."""
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x: Any) -> Any:
        """Returns maps of the shape of ``x``."""
        axes = tuple(range(1, len(x.shape) - 1))
        wide = ops.cast(x, "float32")  # sums of squares leave the range of float16
        squares = ops.sum(ops.square(wide), axis=axes, keepdims=True)
        # The square root has no gradient at 0, where a channel is whose activations are all 0.
        energy = ops.sqrt(ops.maximum(squares, TINY)) if axes else wide
        share = energy / (ops.mean(energy, axis=-1, keepdims=True) + self.epsilon)
        return self.gamma * (x * ops.cast(share, x.dtype)) + self.beta + x

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(PACKAGE)
class Affine(keras.layers.Layer):  # type: ignore[misc]
    """A learned coefficient, and optionally a learned bias, per channel.

    LayerScale (arXiv:2103.17239) without a bias, LeNet-5's subsampling with one.
    """

    def __init__(self, use_bias: bool = False, initial: float = 1.0, **kw: Any) -> None:
        super().__init__(**kw)
        self.use_bias, self.initial = use_bias, initial

    def build(self, shape: Any) -> None:
        """Makes the weights."""
        constant = keras.initializers.Constant(self.initial)
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=constant, name="gamma")
        if self.use_bias:
            self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x: Any) -> Any:
        """Returns maps of the shape of ``x``."""
        return x * self.gamma + self.beta if self.use_bias else x * self.gamma

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "use_bias": self.use_bias, "initial": self.initial}


@keras.saving.register_keras_serializable(PACKAGE)
class Prototypes(keras.layers.Layer):  # type: ignore[misc]
    """Minus the squared distance to a fixed prototype of each class (LeCun et al., 1998, eq. 7)."""

    def __init__(self, classes: int, **kw: Any) -> None:
        super().__init__(**kw)
        self.classes = classes

    def build(self, shape: Any) -> None:
        """Draws the prototypes; they are not trained."""
        signs = keras.random.randint((self.classes, shape[-1]), 0, 2, seed=1998)
        values = keras.ops.convert_to_numpy(signs) * 2.0 - 1.0
        self.prototypes = self.add_weight(
            shape=(self.classes, shape[-1]), initializer="zeros", trainable=False, name="prototypes"
        )
        self.prototypes.assign(values)

    def call(self, x: Any) -> Any:
        """Returns (batch, classes)."""
        return -ops.sum(ops.square(x[:, None, :] - self.prototypes[None]), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(PACKAGE)
class MeanWithDropPath(keras.layers.Layer):  # type: ignore[misc]
    """Mean of its inputs; in training each is dropped at ``rate``, at least one stays.

    Local drop-path of FractalNet (Larsson et al., arXiv:1605.07648, section 3).
    """

    def __init__(self, rate: float = 0.15, seed: int | None = None, **kw: Any) -> None:
        super().__init__(**kw)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, xs: list[Any], training: bool = False) -> Any:
        """Returns one map of the shape of each of ``xs``."""
        if not training or not self.rate:
            return sum(xs) / len(xs)
        draws = keras.random.uniform((len(xs),), seed=self.seed_generator)
        best = ops.cast(ops.equal(draws, ops.max(draws)), xs[0].dtype)
        kept = ops.maximum(ops.cast(draws >= self.rate, xs[0].dtype), best)
        return sum(x * kept[i] for i, x in enumerate(xs)) / ops.sum(kept)

    def compute_output_shape(self, shapes: Any) -> Any:
        """Returns the shape of any one input."""
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "rate": self.rate}
