"""The list that was decided beforehand."""

from cnnsearch.oracles.fixed_list import FixedList
from cnnsearch.oracles.protocol import DONE, Proposal


def test_hands_out_its_list_in_order_and_then_is_done() -> None:
    wanted = [Proposal(name, number, {}, 3) for number, name in enumerate("abc", 1)]
    oracle = FixedList(wanted)
    assert oracle.draws.drawn == 3
    assert oracle.reason is None
    got = [oracle.propose("worker-0") for _ in wanted]
    assert got == wanted
    assert oracle.propose("worker-0") is DONE
    assert oracle.reason == "trials"
