"""The machine that a search is proposed for."""

from dataclasses import dataclass
from typing import Final

from cnnsearch.utils import environment
from cnnsearch.utils.hardware import count_cores

MOST_WORKERS: Final = 4
"""Candidates at a time: each is proposed without knowing the scores of the others."""
WORKER_MEMORY: Final = 2 * 10**9
"""Bytes of memory for each candidate at a time."""
# Multiply-accumulates a second, forward and backward. A core: ResNet-20 (41M MACs) trained at 337
# images a second on two, of which depthwise networks reach half.
CORE_SPEED: Final = 10e9
GPU_SPEED: Final = 500e9


@dataclass(frozen=True)
class Machine:
    """What trains.

    Attributes:
        device: in words.
        cores: of the processor.
        memory: available bytes.
        gpus: their number.
    """

    device: str
    cores: int
    memory: int
    gpus: int

    @classmethod
    def read(cls) -> "Machine":
        """Returns this machine."""
        return cls(
            device=environment.describe_device(),
            cores=count_cores(),
            memory=environment.get_available_memory(),
            gpus=len(environment.list_gpu_ids()),
        )

    @property
    def speed(self) -> float:
        """Multiply-accumulates a second in training, roughly."""
        return self.gpus * GPU_SPEED if self.gpus else self.cores * CORE_SPEED

    @property
    def workers(self) -> int:
        """Candidates to train at a time: one for each GPU, or several with a part of the cores."""
        if self.gpus:
            return self.gpus
        return max(1, min(self.cores, MOST_WORKERS, self.memory // WORKER_MEMORY))
