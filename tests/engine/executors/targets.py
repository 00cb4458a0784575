"""What a trial's process runs in tests, instead of a training."""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection

from cnnsearch.data.dataset import Split
from cnnsearch.engine.executors.child import ChildTask
from cnnsearch.training.messages import EpochEnd, Failed, TrialEnd
from cnnsearch.utils.hardware import use_gpu


def tell_gpu(pipe: Connection, orders: ChildTask) -> None:
    """Says which GPU it was given, and waits to be told to go."""
    use_gpu(orders.gpu or "none")
    pipe.send(EpochEnd(orders.trial_id, 1, {"gpu": float(os.environ["CUDA_VISIBLE_DEVICES"])}))
    while not (orders.folder / "go").exists():
        pass
    pipe.send(TrialEnd(orders.trial_id, Failed("timeout", "told to go")))


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Split):
    """A split in a cache that no process sees but the one that made it."""

    owner: int

    @property
    def materialised(self) -> bool:
        return os.getpid() == self.owner and super().materialised
