"""What is true: the theory of wide networks, derived by checked rules."""

from derive.activations import ACTIVATIONS, Activation, activation
from derive.duals import Dual, KernelDual, dual, kernel_dual
from derive.theorem import Theorem

__all__ = ["ACTIVATIONS", "Activation", "Dual", "KernelDual", "Theorem", "activation", "dual", "kernel_dual"]
