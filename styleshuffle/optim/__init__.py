"""Optimisers whose convergence can be stated before training starts, and a check of the statement."""

from .convergence import Condition, Convergence, check_convergence
from .generic_adam import GenericAdam
from .merging import merged_state
from .quantized_adam import ProtocolBytes, QuantizedAdam
from .weights import PackedWeights

__all__ = [
    "Condition",
    "Convergence",
    "GenericAdam",
    "PackedWeights",
    "ProtocolBytes",
    "QuantizedAdam",
    "check_convergence",
    "merged_state",
]
