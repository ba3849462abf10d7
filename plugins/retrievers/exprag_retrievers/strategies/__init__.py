"""The built-in query strategies, a file each; `exprag_models.situation` tells what several of them read out of an episode."""

from exprag_retrievers.strategies.observation import LastObservationStrategy, TaskAndObservationStrategy
from exprag_retrievers.strategies.state import StateStrategy
from exprag_retrievers.strategies.step import ByStepStrategy
from exprag_retrievers.strategies.task import TaskStrategy
from exprag_retrievers.strategies.trajectory import TrajectoryStrategy

__all__ = [
    "ByStepStrategy",
    "LastObservationStrategy",
    "StateStrategy",
    "TaskAndObservationStrategy",
    "TaskStrategy",
    "TrajectoryStrategy",
]
