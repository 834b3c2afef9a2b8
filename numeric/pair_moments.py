"""Gaussian means of any function of an activation and its derivative at one or two inputs, exact to rounding.

Nodes and weights for z = L g, with g standard normal of one or two dimensions and L lower triangular: Gauss-Legendre
panels in g_1, and for each of its nodes panels in g_2, cut where the activation at either input breaks or where the
polynomials change that match it (:mod:`numeric.hermite`). No mean is taken of a function across a kink or a jump, and
no weight is negative. Closed forms and series (:mod:`numeric.lower_duals`) know E[phi phi] and E[phi' phi'] alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from derive.activations import Activation
from derive.duals.kernel_side import KernelDual
from derive.pieces import break_points
from numeric.hermite import REACHES, Resolved, cuts, gauss_legendre, gaussian_rule, reaches, resolved
from numeric.lower_functions import lowered_activation

FloatArray = NDArray[np.float64]

RANK = 1e-15
"""Part of a standard deviation below which it is rounding error of a perfectly correlated pair; chosen, some ulps."""
_RULE = gauss_legendre(26)
"""The rule of a panel, exact for degree 51; chosen: enough for four factors of degree 28 with decaying coefficients."""
_STEP = 4.5
"""Largest width of a panel in standard deviations; chosen: the rule integrates a density over it to rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """A quadrature rule for z = L g: means are ``values @ weights``.

    Attributes:
        g: the independent standard normal coordinates, shape (rank, n_nodes).
        z: the Gaussian variables, shape (n_points, n_nodes).
        weights: positive, shape (n_nodes,).
    """

    g: FloatArray
    z: FloatArray
    weights: FloatArray


def covariance_root(a: float, b: float, c: float, D: float) -> FloatArray:
    """Return L with L L^T = [[a, c], [c, b]] for a pair of determinant D = ab - c^2: lower triangular, (2, rank).

    Perfectly correlated pairs have rank 1, and two constants have rank 0.

    Raises:
        ValueError: if a variance is negative or a number is not finite.
    """
    if not (np.isfinite([a, b, c, D]).all() and a >= 0 and b >= 0):
        raise ValueError(f"expected finite variances >= 0, got a = {a}, b = {b}, c = {c}; take other inputs or sigma_w")
    if a == 0:
        return np.array([[0.0], [np.sqrt(b)]])[:, : int(b > 0)]
    root, slope = np.sqrt(a), c / np.sqrt(a)
    across = np.sqrt(max(D, 0.0)) / root
    if across <= RANK * np.sqrt(b):
        return np.array([[root], [slope]])
    return np.array([[root, 0.0], [slope, across]])


def gaussian_nodes(activation: Activation | KernelDual, root: FloatArray, step: float = _STEP) -> Nodes:
    """Return nodes for means of products of up to four activations or derivatives, and a polynomial of degree 4 in g.

    Args:
        activation: whose breaks the panels respect.
        root: L of shape (n_points, rank), lower triangular, with rank at most 2.
        step: largest width of a panel in standard deviations, smaller for what varies faster than four factors.

    Raises:
        ValueError: if such a mean does not exist, or the activation varies too fast to be resolved as far out.
        TypeError: for a dual given as a kernel, whose activation nobody knows.
    """
    functions = _resolved(activation)
    rank = root.shape[1]
    if rank == 0:
        return Nodes(np.zeros((0, 1)), np.zeros((len(root), 1)), np.ones(1))
    edges = np.unique(np.concatenate([f.edges for f in functions]))
    reach = _reach(activation, functions, np.sqrt((root**2).sum(axis=1)))
    with np.errstate(all="ignore"):  # an edge over a slope of zero is no edge: it becomes an end
        layers = [edges / slope for slope in root[:, 0]] if rank == 1 else _layers(functions, edges, root, reach)
        _, x, weights = gaussian_rule(cuts(reach, *(layer[None] for layer in layers)), step, _RULE)
        x, weights = x.ravel(), weights.ravel()
        if rank == 1:
            return Nodes(x[None], root * x, weights)
        rows, y, inner = gaussian_rule(cuts(reach, (edges - root[1, 0] * x[:, None]) / root[1, 1]), step, _RULE)
    g = np.stack([np.broadcast_to(x[rows, None], y.shape).ravel(), y.ravel()])
    product = (weights[rows, None] * inner).ravel()
    inside = (g**2).sum(axis=0) < reach**2
    g = g[:, inside]
    return Nodes(g, root @ g, product[inside])


@cache
def _resolved(activation: Activation | KernelDual) -> tuple[Resolved, Resolved]:
    phi, slope = lowered_activation(activation)
    assert isinstance(activation, Activation)  # kernels were refused
    breaks = tuple(float(point) for point in break_points(activation.expression))
    with np.errstate(all="ignore"):
        return resolved(phi, breaks), resolved(slope, breaks)


def _reach(activation: Activation | KernelDual, functions: tuple[Resolved, Resolved], deviations: FloatArray) -> float:
    """Return up to how many standard deviations the mean of four factors goes, by Cauchy and Schwarz of two each."""
    found = [REACHES[0]]
    for deviation in deviations[deviations > 0]:

        def two_factors(z: FloatArray, deviation: float = deviation) -> FloatArray:
            largest = np.max([np.abs(f.function(z)) for f in functions], axis=0)
            return np.asarray(largest**2 * (1 + (z / deviation) ** 2))

        with np.errstate(all="ignore"):
            found.append(float(reaches(two_factors, np.array([deviation]))[0]))
    reach, farthest = max(found), max(found) * float(deviations.max())
    if not np.isfinite(reach):
        raise ValueError(
            f"expected E[phi(u)^4] to be finite, {activation.name} at variance {deviations.max() ** 2:.3g} has none; "
            "take smaller inputs or sigma_w"
        )
    if farthest > min(f.domain for f in functions):
        raise ValueError(
            f"expected {activation.name} to be resolved up to |z| = {farthest:.3g}; take smaller inputs or sigma_w"
        )
    return reach


def _layers(
    functions: tuple[Resolved, Resolved], edges: FloatArray, root: FloatArray, reach: float
) -> list[FloatArray]:
    """Return cuts of g_1: the edges at the first input, and those at the second as far as g_2 does not smooth them.

    The mean over g_2 is smooth on the scale s = L_22 of the second variable. Narrower panels of an activation than
    the reach of s g_2 are replaced by a lattice of that scale; around break points there is one in any case.
    """
    (first, _), (slope, s) = root
    finest = min(f.finest for f in functions)
    sharp = edges if reach * s > finest else functions[0].breaks
    count = np.ceil(reach / _STEP)
    lattice = np.unique(np.rint(sharp[:, None] / (_STEP * s)) + np.arange(-count, count + 1)) * (_STEP * s)
    second = lattice if reach * s > finest else np.concatenate([edges, lattice])
    return [edges / first, second / slope]
