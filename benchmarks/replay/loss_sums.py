"""Ranks candidates by their summed training losses and by validation accuracy, after few epochs.

    python -m benchmarks.replay.loss_sums

Ru et al. (arXiv:2006.04492) rank unfinished trainings by the sum of their training losses so far.
For each number of epochs this prints the rank correlation (Spearman's) of both with the accuracy
after the last epoch, over the candidates of ``own_table.json``, and the difference with its 95 %
interval (candidates drawn with replacement).
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

TABLE = Path(__file__).with_name("own_table.json")
REPEATS = 1000


def main() -> None:
    """Prints a line for each number of epochs."""
    candidates = json.loads(TABLE.read_text())["candidates"]
    accuracy = np.array([each["val_accuracy"] for each in candidates])
    losses = np.cumsum([each["loss"] for each in candidates], axis=1)
    final, rng = accuracy[:, -1], np.random.default_rng(0)
    draws = rng.integers(0, len(candidates), (REPEATS, len(candidates)))
    print(f"{len(candidates)} candidates of {accuracy.shape[1]} epochs")
    print("epochs  accuracy  loss sum  last loss  loss sum - accuracy (95 % interval)")
    for epoch in range(accuracy.shape[1] - 1):
        sums = -losses[:, epoch]
        last = -(losses[:, epoch] - (losses[:, epoch - 1] if epoch else 0))
        found = [spearmanr(each, final)[0] for each in (accuracy[:, epoch], sums, last)]
        gaps = [
            spearmanr(sums[d], final[d])[0] - spearmanr(accuracy[d, epoch], final[d])[0]
            for d in draws
        ]
        low, high = np.percentile(gaps, (2.5, 97.5))
        by_accuracy, by_sum, by_last = found
        gap = f"{by_sum - by_accuracy:+.3f} ({low:+.3f} to {high:+.3f})"
        print(f"{epoch + 1:>6}{by_accuracy:>10.3f}{by_sum:>10.3f}{by_last:>11.3f}  {gap}")


if __name__ == "__main__":
    main()
