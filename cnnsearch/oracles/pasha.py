"""Progressive ASHA (Bohdal et al., 2022, arXiv:2207.06940)."""

from collections.abc import Mapping

from cnnsearch.oracles.asha import Asha, Rung
from cnnsearch.oracles.strategy import History

ALIKE = 0.025  # scores that differ by no more are one place of the ranking (epsilon in the paper)


class Pasha(Asha):
    """ASHA that adds a higher rung only while the two highest rank their candidates differently.

    Rankings agree if no candidate has the place of another whose score in the lower rung was more
    than 2.5 points away (soft ranking). The winner may so have been trained for a fraction of
    ``epochs`` only: train it in full afterwards.
    """

    name = "pasha"
    summary = "asha, with longer trainings only while they change the ranking"
    paper = "2207.06940"

    def find_top(self, rungs: list[Rung], history: History) -> int:
        """Returns the highest rung so far; a function of the order in which trials ended."""
        top, last = min(1, len(rungs) - 1), len(rungs) - 1
        first: dict[str, str] = {}  # a trial's candidate, as the id of its first trial
        scores: list[dict[str, float]] = [{} for _ in rungs]
        for trial in history.completed:
            first[trial.id] = first[trial.promotes] if trial.promotes else trial.id
            number = trial.notes["round"]
            scores[number][first[trial.id]] = trial.score or 0.0
            if number == top < last and not is_stable(scores[top - 1], scores[top]):
                top += 1
        return top


def is_stable(below: Mapping[str, float], above: Mapping[str, float]) -> bool:
    """Whether the candidates of a rung were ranked in the same order, nearly, in the rung below."""
    before = sorted(above, key=lambda candidate: -below[candidate])
    after = sorted(above, key=lambda candidate: -above[candidate])
    return all(abs(below[a] - below[b]) <= ALIKE for a, b in zip(before, after, strict=True))
