"""EXACT laws of the outputs of one hidden layer at finite width: how they depend on each other, how far from normal.

Given the units, outputs are independent and normal with variance K(x, x) = s_b^2 + s_w^2/N sum_j phi(u_j)^2, a mean of
iid terms. So all of their law is in

    E exp(-sum_i s_i K(x_i, x_i)) = exp(-s_b^2 sum_i s_i) (E exp(-s_w^2/N sum_i s_i phi(u(x_i))^2))^N,

one Gaussian mean: with s = w^2/2 it is E cos(w z), the characteristic function of an output; at two inputs the mean of
the product of the cosines of two different outputs. Distribution functions are its sine transforms.

Source: derived here; the inversion is that of Gil-Pelaez, Biometrika 38 (1951).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from numeric.kernels import MLP, as_inputs
from numeric.leading_order import first_layer, first_root
from numeric.lower_functions import lowered_activation
from numeric.pair_moments import gaussian_nodes

FloatArray = NDArray[np.float64]

_STEP = 0.125
"""Width in standard deviations of panels for exp(-s phi^2) with large s; chosen: halving it changes no digit kept."""
_NEGLIGIBLE = 1e-16
"""Characteristic functions below this are not integrated; chosen, below rounding."""
_LONGEST, _FARTHEST = 2e3, 60.0
"""Most standard deviations times frequency to integrate over, a law without density beyond; and standard deviations
beyond which no output of any width is met. Chosen: products of two normals, the law of width 1, fall as exp(-|z|)."""
_SEARCHED = np.linspace(0.0, 6.0, 601)[1:]
"""Where in standard deviations the largest distance is looked for before it is refined; chosen, normal beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """The values of phi^2 at one or two inputs on a Gaussian rule: shapes (n_points, n_nodes) and (n_nodes,).

    ``per_unit`` and ``bias`` are the variances s_w^2 and s_b^2.
    """

    squares: FloatArray
    weights: FloatArray
    per_unit: float
    bias: float

    def log_mean(self, s: FloatArray, width: float) -> FloatArray:
        """Return log E exp(-s . K) for each row of s, shape (any, n_points); at infinite width that of the limit."""
        exponents = s @ self.squares * self.per_unit
        constant = self.bias * s.sum(axis=1)
        if math.isinf(width):
            return np.asarray(-constant - exponents @ self.weights)
        below_one = np.expm1(-exponents / width) @ self.weights
        return np.asarray(-constant + width * np.log1p(below_one))


def _units(net: MLP, x: ArrayLike, width: float, pairs: bool) -> tuple[tuple[_Unit, ...], ...]:
    """Return in row i the units at the pairs (i, 0), ..., (i, i) of inputs, or at input i alone, on a finer rule."""
    if net.hidden_layers != 1:
        raise ValueError(f"laws of outputs need one hidden layer, got {net.hidden_layers}")
    if not (width >= 1 and (math.isinf(width) or width == int(width))):
        raise ValueError(f"width must be a positive integer, or infinity for the limit, got {width!r}")
    inputs = as_inputs(x)
    return _on_rules(net, inputs.tobytes(), inputs.shape, pairs)


@lru_cache(maxsize=8)
def _on_rules(net: MLP, x: bytes, shape: tuple[int, ...], pairs: bool) -> tuple[tuple[_Unit, ...], ...]:
    """Return the units, which do not depend on the width that laws are asked for at."""
    state, (row,) = first_layer(net, np.frombuffer(x).reshape(shape))[0], net.activations
    variances = np.square(net.scales[1])
    phi, _ = lowered_activation(row)
    result = []
    for i in range(len(state.a)):
        roots = [first_root(state, i, j) for j in range(i + 1)] if pairs else [first_root(state, i, i)]
        rules = [gaussian_nodes(row, root) if pairs else gaussian_nodes(row, root, _STEP) for root in roots]
        result.append(tuple(_Unit(phi(rule.z) ** 2, rule.weights, *variances) for rule in rules))
    return tuple(result)


# Cosines


def cosine_means(net: MLP, x: ArrayLike, width: float, frequencies: FloatArray) -> FloatArray:
    """Return E cos(w z(x)) of an output at each input, shape (n,), exact at every width.

    Args:
        net: a network with one hidden layer.
        x: inputs (n, d).
        width: number of hidden units, or infinity for the limit.
        frequencies: w at each input, (n,).

    Raises:
        ValueError: for another number of hidden layers, or a width that is not a positive integer.
    """
    units = _units(net, x, width, pairs=False)
    logs = [unit.log_mean(np.array([[w * w / 2]]), width)[0] for (unit,), w in zip(units, frequencies, strict=True)]
    return np.exp(logs)


def cosine_covariance(net: MLP, x: ArrayLike, width: float, frequencies: FloatArray) -> FloatArray:
    """Return Cov(cos(w z_k(x)), cos(w' z_k'(x'))) of two different outputs at all pairs of inputs, shape (n, n).

    That is the covariance of exp(-w^2 K(x, x)/2) and exp(-w'^2 K(x', x')/2): 0 if and only if K does not vary with the
    units. Arguments and errors as :func:`cosine_means`. No digits are lost where it is small: the means of one unit are
    subtracted before they are raised to the power N.
    """
    result = np.zeros((len(frequencies), len(frequencies)))
    if math.isinf(width):
        return result
    for i, row in enumerate(_units(net, x, width, pairs=True)):
        for j, unit in enumerate(row):
            s = np.array([frequencies[i], frequencies[j]]) ** 2 / 2
            squares = unit.squares if len(unit.squares) == 2 else np.repeat(unit.squares, 2, axis=0)
            below_one = np.expm1(-unit.per_unit / width * s[:, None] * squares)
            first, second = below_one @ unit.weights
            spread = (below_one[0] - first) * (below_one[1] - second) @ unit.weights
            together = -unit.bias * s.sum() + width * (np.log1p(first) + np.log1p(second))
            ratio = width * np.log1p(spread / ((1 + first) * (1 + second)))
            result[i, j] = result[j, i] = np.exp(together) * np.expm1(ratio)
    return result


# Distribution functions


def excess_of_cdf(net: MLP, x: ArrayLike, width: float, z: ArrayLike) -> FloatArray:
    """Return P(z(x) <= z) less the normal value with the variance of the limit, exact at every width, shape (n, m).

    Args:
        net: a network with one hidden layer.
        x: inputs (n, d).
        width: number of hidden units, or infinity for the limit, where it is 0.
        z: arguments at each input, (n, m), of at most ten standard deviations.

    Raises:
        ValueError: as :func:`cosine_means`, or if the characteristic function falls too slowly: without a bias outputs
            may have no density.
    """
    points = np.asarray(z, dtype=float)
    units = _units(net, x, width, pairs=False)
    return np.stack([_excess(_transform(unit, width), row) for (unit,), row in zip(units, points, strict=True)])


def kolmogorov_distance(net: MLP, x: ArrayLike, width: float) -> FloatArray:
    """Return sup_z |P(z(x) <= z) - normal value| of an output at each input, shape (n,), exact at every width.

    Arguments and errors as :func:`excess_of_cdf`.
    """
    return np.array([_largest(unit, width) for (unit,) in _units(net, x, width, pairs=False)])


def _largest(unit: _Unit, width: float) -> float:
    """Return the largest excess in size: at the best of many points, refined between its neighbours."""
    transform = _transform(unit, width)
    points = _deviation(unit) * _SEARCHED
    found = np.abs(_excess(transform, points))
    best = min(max(int(found.argmax()), 1), len(points) - 2)
    refined = optimize.minimize_scalar(
        lambda point: -abs(_excess(transform, np.array([point]))[0]),
        bounds=(points[best - 1], points[best + 1]),
        method="bounded",
    )
    return max(float(found.max()), -float(refined.fun))


def _deviation(unit: _Unit) -> float:
    """Return the standard deviation of an output."""
    return math.sqrt(unit.bias + unit.per_unit * float(unit.squares[0] @ unit.weights))


def _transform(unit: _Unit, width: float) -> tuple[FloatArray, FloatArray]:
    """Return frequencies and weights whose sines add up to the excess of the distribution function.

    The midpoint rule errs by the probability of more than 2 pi/h less |z|, if h is its step.
    """
    deviation = _deviation(unit)
    if math.isinf(width) or deviation == 0:
        return np.zeros(1), np.zeros(1)
    end = _end(unit, width, deviation)
    step = 2 * math.pi / (_FARTHEST * deviation)
    t: FloatArray = step * (np.arange(math.ceil(end / step), dtype=float) + 0.5)
    difference = np.exp(unit.log_mean(t[:, None] ** 2 / 2, width)) - np.exp(-((t * deviation) ** 2) / 2)
    weights: FloatArray = difference / t * (step / math.pi)
    return t, weights


def _excess(transform: tuple[FloatArray, FloatArray], z: FloatArray) -> FloatArray:
    """Return the excess of the distribution function at some z."""
    frequencies, weights = transform
    return np.asarray(np.sin(np.multiply.outer(z, frequencies)) @ weights)


def _end(unit: _Unit, width: float, deviation: float) -> float:
    """Return the frequency from which on the characteristic function, which falls, is negligible."""
    end = 4.0 / deviation
    while unit.log_mean(np.array([[end**2 / 2]]), width)[0] > math.log(_NEGLIGIBLE):
        end *= 1.25
        if end * deviation > _LONGEST:
            raise ValueError(
                f"expected outputs with a density at width {width}, their characteristic function falls too slowly; "
                "take a larger sigma_b or width"
            )
    return end
