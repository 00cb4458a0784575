"""Every strategy in turn."""

import pytest

from cnnsearch.oracles import STRATEGIES


@pytest.fixture(params=[strategy.name for strategy in STRATEGIES])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)
