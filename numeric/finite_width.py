"""Exact laws of one hidden layer at finite width: moments of the empirical kernels and outputs, from the theorems.

With one hidden layer the units below are exactly iid Gaussian and Theta^1 is deterministic, so these are exact at every
width. The formulas come from :mod:`derive.lecture.finite_width`; means of four activations are integrated numerically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from derive import notation
from derive.activations import Activation
from derive.lecture import finite_width, networks
from derive.terms import Expression
from numeric.kernels import MLP, as_inputs
from numeric.lower import Moment, Scalar, scalar, unit_law_function
from numeric.lower_functions import lowered_activation
from numeric.pair_moments import covariance_root, gaussian_nodes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerTwo:
    """Exact laws over networks with one hidden layer.

    Every array is (n, n) over pairs of inputs.

    Attributes:
        nngp_variance: Var of the empirical NNGP kernel.
        tangent_mean: mean of the empirical tangent kernel of one output.
        tangent_variance: its variance.
        cross_variance: variance of the tangent kernel of two different outputs, whose mean is 0.
        kernel_covariance: covariance of the empirical NNGP kernel and the tangent kernel of one output.
        output_moments: E[z_k(x)^2 z_k(x')^2] of one output.
        cross_moments: E[z_k(x)^2 z_k'(x')^2] of two different outputs.
    """

    nngp_variance: FloatArray
    tangent_mean: FloatArray
    tangent_variance: FloatArray
    cross_variance: FloatArray
    kernel_covariance: FloatArray
    output_moments: FloatArray
    cross_moments: FloatArray


def theorems() -> dict[str, tuple[Expression, bool]]:
    """Return the right side that each attribute of :class:`LayerTwo` evaluates, and whether the outputs are equal."""
    sides = {
        "nngp_variance": (finite_width.kernel_variance().rhs, True),
        "tangent_mean": (finite_width.tangent_mean().rhs, True),
        "tangent_variance": (finite_width.tangent_variance().rhs, True),
        "cross_variance": (finite_width.tangent_variance().rhs, False),
        "kernel_covariance": (finite_width.kernel_covariance().rhs, True),
        "output_moments": (finite_width.output_moments().rhs, True),
        "cross_moments": (finite_width.output_moments().rhs, False),
    }
    return {name: (side, equal) for name, (side, equal) in sides.items() if isinstance(side, Expression)}


@cache
def _mean(row: Activation, moment: Moment, a: float, b: float, c: float, D: float) -> float:
    """Return a Gaussian mean of a product of powers of the activation and its derivative at both inputs."""
    nodes = gaussian_nodes(row, covariance_root(a, b, c, D))
    functions = dict(zip(("phi", "dphi"), lowered_activation(row), strict=True))
    product = nodes.weights
    for head, at, power in moment:
        product = product * functions[head](nodes.z[0 if at == "x" else -1]) ** power
    return float(np.sum(product))


def layer_two(net: MLP, x: FloatArray, width: int) -> LayerTwo:
    """Return the exact laws at a width.

    Args:
        net: a network with one hidden layer.
        x: inputs (n, d).
        width: number of hidden units.

    Raises:
        ValueError: as :func:`law`.
    """
    return LayerTwo(**{name: law(net, x, width, side, equal) for name, (side, equal) in theorems().items()})


def law(net: MLP, x: FloatArray, width: int, side: Expression, equal: bool, outputs: int = 1) -> FloatArray:
    """Return the value of a statement on a layer on iid units at all pairs of inputs, shape (n, n), symmetrized.

    Args:
        net: a network with one hidden layer.
        x: inputs (n, d).
        width: number of hidden units.
        side: a right side of a theorem of :mod:`derive.lecture.finite_width`, or a wrong variant of one.
        equal: whether its outputs are equal.
        outputs: number of outputs, which no right side depends on but wrong variants may.

    Raises:
        ValueError: if the network has not exactly one hidden layer, or the width is not positive.
    """
    if net.hidden_layers != 1:
        raise ValueError(f"exact laws need one hidden layer, got {net.hidden_layers}")
    if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
        raise ValueError(f"width must be a positive integer, got {width!r}")
    inputs = as_inputs(x)
    state, tangent = net.first_layer(inputs)
    first, determinant = state.c, state.D
    value, function = _lowered(side, equal)
    number_of = {notation.width(notation.layer): width, notation.width(notation.layer + 1): outputs}
    sizes = [number_of[size] for size in value.sizes]
    result = np.empty((len(inputs), len(inputs)))
    for i in range(len(inputs)):
        for j in range(i + 1):
            pair = first[i, i], first[j, j], first[i, j], determinant[i, j]
            means = [_mean(net.activations[0], moment, *pair) for moment in value.moments]
            below = tangent[i, j], first[i, j]
            result[i, j] = result[j, i] = function(*below, *sizes, *net.scales[1], *means)
    return result


@cache
def _lowered(side: Expression, equal: bool) -> tuple[Scalar, Callable[..., float]]:
    """Return a side as a scalar and as a function; claims share sides."""
    value = scalar(side, networks.DEEPER_LAYER, equal_units=equal)
    return value, unit_law_function(value)
