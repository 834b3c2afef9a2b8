"""Duals: E[f(u) g(v)] for a centred Gaussian pair, in closed form, as theorems."""

from derive.duals.theorems import ClosedForm, Dual, GaussianMean, dual

__all__ = ["ClosedForm", "Dual", "GaussianMean", "dual"]
