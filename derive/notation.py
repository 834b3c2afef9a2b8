"""Symbols of the theory, said once.

Layers. ``z^1 = sigma_w/sqrt(d) W^1 x + sigma_b b^1`` and ``z^l = sigma_w/sqrt(N_l) W^l phi(z^{l-1}) + sigma_b b^l``
with all entries of W and b independent standard normals (the NTK parameterization). Layer l has ``N_l`` inputs and
``N_{l+1}`` units, so ``N_1 = d``. ``K^l`` and ``Theta^l`` are the limits of the covariance and of the tangent kernel
of one unit of layer l; a network with L hidden layers has outputs ``z^{L+1}``. Papers differ by one in this index.
"""

import sympy as sp

sigma_w, sigma_b = sp.symbols("sigma_w sigma_b", positive=True)
"""Standard deviations of the effective weights and biases of a layer."""

layer = sp.Symbol("l", integer=True, positive=True)
"""The generic layer index; a statement about layer l is moved to another layer by substituting for it."""

input_dimension = sp.Symbol("d", integer=True, positive=True)

a, b, D = sp.symbols("a b D", nonnegative=True)
c = sp.Symbol("c", real=True)
"""Variances a, b, covariance c and determinant D = ab - c^2 of the pair (u, v) in a dual."""

z = sp.Symbol("z", real=True)
"""The argument of an activation."""

eigenvalue = sp.Symbol("lambda", positive=True)
learning_rate, time = sp.symbols("eta t", positive=True)
"""Spectral variable, learning rate and time of gradient flow."""

step = sp.Symbol("t", integer=True, nonnegative=True)
"""Number of steps of gradient descent."""

noise = sp.Symbol("sigma_epsilon", positive=True)
"""Standard deviation of the noise of the targets."""

same_output = sp.KroneckerDelta(*sp.symbols("k k'", integer=True, positive=True))
"""1 where the covariance is of one output with itself, 0 for two outputs."""


def width(of_layer: sp.Expr | int) -> sp.Expr:
    """Return N_l, the number of inputs of layer ``of_layer`` (the number of units of the layer below)."""
    return sp.Function("N", positive=True, integer=True)(of_layer)


def parameter_count(up_to_layer: sp.Expr | int) -> sp.Expr:
    """Return P_l, the number of parameters of layers 1 to ``up_to_layer``."""
    return sp.Function("P", positive=True, integer=True)(up_to_layer)
