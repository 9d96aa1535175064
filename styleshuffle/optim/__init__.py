"""Optimisers whose convergence can be stated before training starts, and a check of the statement."""

from .convergence import Condition, Convergence, check_convergence
from .generic_adam import GenericAdam
from .quantized_adam import ProtocolBytes, QuantizedAdam, merged_state

__all__ = [
    "Condition",
    "Convergence",
    "GenericAdam",
    "ProtocolBytes",
    "QuantizedAdam",
    "check_convergence",
    "merged_state",
]
