"""The short version of the fault injection: as many reach the full budget as without faults."""

from pathlib import Path

import pytest

from tests.faults.inject import search


@pytest.mark.parametrize(("strategy", "trials"), [("evolution", 8), ("hyperband", None)])
def test_as_many_are_trained_in_full_as_without_faults(
    tmp_path: Path, strategy: str, trials: int | None
) -> None:
    whole = search(tmp_path, strategy, trials, 0.0, seed=3)
    hurt = search(tmp_path, strategy, trials, 0.3, seed=3)
    assert whole.full > 0 and hurt.full == whole.full
    assert hurt.retried > 0
    assert hurt.lost == hurt.doubled == 0
