"""The law of K^l(x, x) of networks with bounded activations, carried from layer to layer on Chebyshev nodes.

At one input K^{l+1} is the mean of s_b^2 + s_w^2 phi(sqrt(K^l) g_j)^2 over the units j, so K^l is a Markov chain. A law
on an interval is written as weights of Chebyshev nodes, which give the means of all polynomials up to their degree; the
law of a mean of two laws is bilinear in them, and N units are reached by doubling. The mean of the tangent kernel
follows with two more sets of weights, see :mod:`numeric.exact_chains` for q, t and r.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.activations import Activation
from derive.duals.kernel_side import KernelDual
from numeric.kernels import MLP
from numeric.lower_functions import lowered_activation
from numeric.pair_moments import gaussian_nodes

FloatArray = NDArray[np.float64]

_DEGREES = 24, 48, 96
"""Degrees of the Chebyshev nodes that are tried; chosen."""
_AGREEMENT, _NO_VARIANCE = 1e-7, 1e-12
"""Largest relative difference of two successive degrees, of which the larger has some digits more; and the variance
relative to the squared mean below which it counts as rounding error. Chosen."""


def chain_moments(net: MLP, first_kernel: float, widths: tuple[int, ...]) -> FloatArray:
    """Return mean and variance of K and the mean of Theta, by polynomials of a degree that is enough.

    Args:
        net: a network with bounded activations.
        first_kernel: K^1.
        widths: of each hidden layer.

    Raises:
        ValueError: if no degree is enough.
        TypeError: for a dual given as a kernel.
    """
    fine = difference = np.full(3, np.inf)
    for degree in _DEGREES:
        coarse, fine = fine, _moments(net, first_kernel, widths, degree)
        size = fine + np.array([0.0, _NO_VARIANCE * fine[0] ** 2, 0.0])
        difference = np.abs(fine - coarse) / np.where(size > 0, size, 1.0)
        if np.all(difference <= _AGREEMENT):
            return fine
    raise ValueError(
        f"expected a law that polynomials of degree {_DEGREES[-1]} resolve, got means and variances that differ by "
        f"{difference.max():.1g}; take a larger sigma_b, or leading_order for wide networks"
    )


def _moments(net: MLP, first_kernel: float, widths: tuple[int, ...], degree: int) -> FloatArray:
    """Return mean and variance of K and the mean of Theta, from layer to layer with nodes of one degree.

    The means of f(K), t f(K) and r f(K) are carried for all polynomials f, as weights of the values of f at the nodes.
    """
    grid = ChebyshevGrid(degree)
    kernels = np.array([first_kernel])
    alone, with_trace, with_form = np.ones(1), np.zeros(1), np.zeros(1)
    for row, (sigma_w, sigma_b), width in zip(net.activations, net.scales[1:], widths, strict=True):
        step = _transition(grid, row, kernels, sigma_w, sigma_b, width)
        tangent = kernels * alone + with_trace
        alone, with_trace, with_form = (
            alone @ step.kernel,
            tangent @ step.slopes + with_form @ step.slopes_along,
            tangent @ step.form + with_form @ step.form_along,
        )
        kernels = step.nodes
    mean = float(alone @ kernels)
    return np.array([mean, alone @ (kernels - mean) ** 2, mean + with_trace.sum()])


@dataclass(frozen=True, slots=True)
class ChebyshevGrid:
    """Laws on [-1, 1], as weights of Chebyshev nodes that give the means of all polynomials up to a degree.

    Weights may be negative, but their moduli add up to less than 4, the Lebesgue constant of the nodes, so that
    rounding errors stay small.
    """

    degree: int

    @property
    def nodes(self) -> FloatArray:
        """Return the zeros of the Chebyshev polynomial of the next degree."""
        return np.asarray(np.polynomial.chebyshev.chebpts1(self.degree + 1))

    def weights(self, points: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the weights of the laws concentrated in each point, shape (n_points, degree + 1)."""
        orders = np.arange(self.degree + 1)
        at_nodes = np.cos(np.arccos(self.nodes)[:, None] * orders) * np.where(orders > 0, 2.0, 1.0)
        result = np.polynomial.chebyshev.chebvander(points, self.degree) @ at_nodes.T
        return np.asarray(result / result.sum(axis=1, keepdims=True))  # masses are multiplied many times

    def mixed(self, first: FloatArray, n_first: int, second: FloatArray, n_second: int) -> FloatArray:
        """Return the law of the mean of n_first + n_second summands from those of the means of either, row by row."""
        pairs = (first[:, :, None] * second[:, None, :]).reshape(len(first), -1)
        return np.asarray(pairs @ self._mixing(n_first / (n_first + n_second)))

    @lru_cache(maxsize=16)  # noqa: B019 - grids are values without arrays
    def _mixing(self, part: float) -> FloatArray:
        """Return the weights of a convex combination of each two nodes."""
        return self.weights((part * self.nodes[:, None] + (1 - part) * self.nodes).ravel())

    def average(self, law: FloatArray, count: int) -> FloatArray:
        """Return the law of the mean of so many independent summands, by doubling; of none it is arbitrary."""
        total, taken, power, size = law, 0, law, 1
        while count:
            if count & 1:
                total, taken = self.mixed(total, taken, power, size), taken + size
            count >>= 1
            if count:
                power, size = self.mixed(power, size, power, size), 2 * size
        return total


@dataclass(frozen=True, slots=True, eq=False)
class _Transition:
    """What a layer does to means of f(K), t f(K) and r f(K), as matrices from nodes of K to those of the next layer.

    Attributes:
        nodes: of the next layer.
        kernel: to means of f(K').
        slopes, slopes_along: to means of t' f(K'), from K + t and from r.
        form, form_along: to means of r' f(K'), from K + t and from r.
    """

    nodes: FloatArray
    kernel: FloatArray
    slopes: FloatArray
    slopes_along: FloatArray
    form: FloatArray
    form_along: FloatArray


def _transition(
    grid: ChebyshevGrid, row: Activation | KernelDual, kernels: FloatArray, sigma_w: float, sigma_b: float, width: int
) -> _Transition:
    """Return the matrices of a layer, from the law of one or two units weighted with what they put into t' and r'.

    Given z = sqrt(q) g, the mean of Theta_jj is q + t + (g^2 - 1) r / q, and that of Theta_jk is g_j g_k r / q.
    """
    phi, slope = lowered_activation(row)
    rules = [gaussian_nodes(row, np.array([[np.sqrt(q)]]) if q > 0 else np.zeros((1, 0))) for q in kernels]
    summands = [sigma_b**2 + (sigma_w * phi(rule.z[0])) ** 2 for rule in rules]
    low, high = min(map(np.min, summands)), max(map(np.max, summands))
    middle, half = (low + high) / 2, (high - low) / 2
    one, slopes, slopes_along, form, form_along, pair = [], [], [], [], [], []
    for q, rule, summand in zip(kernels, rules, summands, strict=True):
        law = rule.weights[:, None] * grid.weights((summand - middle) / (half or 1.0))
        g = rule.g[0] if q > 0 else np.zeros(1)
        values, derivatives = sigma_w * phi(rule.z[0]), sigma_w * slope(rule.z[0])
        along = (g**2 - 1) / q if q > 0 else np.zeros(1)  # r is 0 where q is
        one.append(law.sum(axis=0) / law.sum())
        slopes.append(derivatives**2 @ law)
        slopes_along.append((derivatives**2 * along) @ law)
        form.append((values * derivatives) ** 2 @ law / width)
        form_along.append(((values * derivatives) ** 2 * along) @ law / width)
        pair.append((values * derivatives * g / np.sqrt(q or 1.0)) @ law)
    unit, two = np.array(one), np.array(pair)
    rest = grid.average(unit, max(width - 2, 0))
    others = grid.mixed(unit, 1, rest, width - 2) if width > 1 else rest

    def weighted(by: list[FloatArray]) -> FloatArray:
        return grid.mixed(np.array(by), 1, others, width - 1)

    between = grid.mixed(grid.mixed(two, 1, two, 1), 2, rest, max(width - 2, 0)) * (width - 1) / width
    return _Transition(
        nodes=middle + half * grid.nodes,
        kernel=weighted(one),
        slopes=weighted(slopes),
        slopes_along=weighted(slopes_along),
        form=weighted(form),
        form_along=weighted(form_along) + between,
    )
