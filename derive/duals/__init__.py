"""Duals: E[f(u) g(v)] for a centred Gaussian pair, in closed form, as theorems."""

from derive.duals.kernel_side import KernelDual, NotADual, kernel_dual
from derive.duals.theorems import ClosedForm, Dual, GaussianMean, dual

__all__ = ["ClosedForm", "Dual", "GaussianMean", "KernelDual", "NotADual", "dual", "kernel_dual"]
