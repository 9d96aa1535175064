"""Optimisers whose convergence can be stated before training starts, and a check of the statement."""

from .convergence import Condition, Convergence, check_convergence
from .generic_adam import GenericAdam

__all__ = ["Condition", "Convergence", "GenericAdam", "check_convergence"]
