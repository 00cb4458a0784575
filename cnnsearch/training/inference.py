"""Inference in batches of one shape, and its latency; importing this needs no framework."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BATCH = 128
WARM_UP, TIMED, MAX_SECONDS = 5, 50, 5.0
"""Untimed calls, timed calls, and the seconds after which no further call is made."""


def batch_rows(
    count: int, size: int, *, pad: bool = True
) -> Iterator[tuple["npt.NDArray[np.intp]", int]]:
    """Yields the row numbers of each batch, and how many of them are not padding.

    Padding repeats the last row, so that compiled functions see a single shape.

    Args:
        count: rows in all.
        size: rows a batch.
        pad: whether the last batch is filled up to ``size``.
    """
    import numpy as np

    for start in range(0, count, size):
        valid = min(size, count - start)
        rows = np.arange(start, start + (size if pad else valid))
        yield np.minimum(rows, count - 1), valid


def predict_batches(
    model: Callable[[Any], Any],
    read: Callable[["npt.NDArray[np.intp]"], Any],
    count: int,
    *,
    size: int = BATCH,
    pad: bool = True,
) -> Any:
    """Runs a model on all images.

    Args:
        model: from a batch of images to an array whose first axis is the batch.
        read: from row numbers to images: ``split.read``, or ``array.__getitem__``.
        count: images in all.
        size: images a batch.
        pad: whether every batch has ``size`` images; False where the model takes any number.

    Returns:
        The outputs of all images, in order, as one NumPy array.
    """
    import numpy as np

    batches = batch_rows(count, size, pad=pad)
    return np.concatenate([np.asarray(model(read(rows)))[:valid] for rows, valid in batches])


def mirror_images(images: Any) -> Any:
    """Returns images (N, H, W, C) mirrored left to right, as a contiguous array."""
    import numpy as np

    return np.ascontiguousarray(images[:, :, ::-1])


def measure_latency(model: Callable[[Any], Any], images: Any) -> float:
    """Returns the median time of a call in milliseconds, after a warm-up.

    Args:
        model: from images to an array; its result is waited for.
        images: the batch of every call.
    """
    import numpy as np

    seconds: list[float] = []
    since = time.perf_counter()
    while len(seconds) < WARM_UP + TIMED and time.perf_counter() - since < MAX_SECONDS:
        began = time.perf_counter()
        np.asarray(model(images))
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[WARM_UP:] or seconds)


def compile_inference(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compiles a function of Keras operations for the backend in use."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled: Callable[[Any], Any] = tf.function(function, autograph=False)
    else:
        import jax

        compiled = jax.jit(function)
    return compiled
