"""Batched inference: every row once and in order, in batches of one shape."""

import time
from typing import Any

import numpy as np
import pytest

from cnnsearch.training import inference
from cnnsearch.training.inference import (
    batch_rows,
    compile_inference,
    measure_latency,
    predict_batches,
)


@pytest.mark.parametrize(("pad", "shapes"), [(True, [4, 4, 4]), (False, [4, 4, 2])])
def test_every_image_is_predicted_once_and_in_order(pad: bool, shapes: list[int]) -> None:
    images, seen = np.arange(10)[:, None], []

    def double(batch: Any) -> Any:
        seen.append(len(batch))
        return 2 * batch

    found = predict_batches(double, images.__getitem__, 10, size=4, pad=pad)
    np.testing.assert_array_equal(found, 2 * images)
    assert seen == shapes


def test_padding_repeats_the_last_row() -> None:
    batches = [(rows.tolist(), valid) for rows, valid in batch_rows(5, 3)]
    assert batches == [([0, 1, 2], 3), ([3, 4, 4], 2)]


def test_latency_is_the_median_in_milliseconds_without_the_warm_up() -> None:
    calls: list[int] = []

    def model(images: Any) -> Any:
        calls.append(1)
        time.sleep(0.05 if len(calls) <= inference.WARM_UP else 0.002)
        return images

    assert 2 <= measure_latency(model, np.zeros(1)) < 20
    assert len(calls) == inference.WARM_UP + inference.TIMED


def test_a_slow_model_is_timed_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_SECONDS", 0.05)
    began = time.perf_counter()
    assert measure_latency(lambda images: time.sleep(0.03), None) >= 30
    assert time.perf_counter() - began < 1


def test_a_compiled_function_computes_the_same() -> None:
    import keras

    compiled = compile_inference(lambda x: keras.ops.softmax(keras.ops.cast(x, "float32")))
    found = np.asarray(compiled(np.array([[1, 2]], np.uint8)))
    np.testing.assert_allclose(found, [[1 / (1 + np.e), np.e / (1 + np.e)]], rtol=1e-6)
