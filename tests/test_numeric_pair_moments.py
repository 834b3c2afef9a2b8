"""Quadrature for means of up to four activations, against ball arithmetic and closed forms: they share nothing."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.activations import ACTIVATIONS, activation
from derive.duals.integration import gaussian_mean
from derive.duals.kernel_side import kernel_dual
from derive.notation import z
from numeric import pair_moments
from numeric.lower_functions import lowered_activation
from numeric.pair_moments import covariance_root, gaussian_nodes

PAIRS = {
    "generic": (1.0, 2.0, 0.25),
    "unequal": (0.0625, 3.0, -0.375),
    "nearly parallel": (1.0, 1.5, 1.224744871),
    "nearly opposite": (2.0, 0.5, -0.9999999),
    "wide": (9.0, 16.0, 5.0),
}
NAMES = ["relu", "step", "hard-tanh", "relu6", "elu", "softplus", "erf", "sin", "exp", "z3", "tanh", "silu"]


def mean(name, factors, a, b, c, D):
    """The mean by quadrature, and what its error is measured by: the mean of the modulus."""
    phi, slope = lowered_activation(activation(name))
    nodes = gaussian_nodes(activation(name), covariance_root(a, b, c, D))
    product = factors(phi(nodes.z[0]), phi(nodes.z[1]), slope(nodes.z[0]), slope(nodes.z[1]), *nodes.z)
    return product @ nodes.weights, np.abs(product) @ nodes.weights


FACTORS = {
    "four activations": (lambda p, q, d, e, u, v: p**2 * q**2, lambda f, d: f**2, lambda f, d: f**2),
    "with slopes": (lambda p, q, d, e, u, v: p * d * e * (1 + q), lambda f, d: f * d, lambda f, d: d * (1 + f)),
    "with powers": (lambda p, q, d, e, u, v: p * q * u**3 * v, lambda f, d: f * z**3, lambda f, d: f * z),
}


def error(name, kind, pair):
    a, b, c = PAIRS[pair]
    by_nodes, *by_balls = FACTORS[kind]
    found, size = mean(name, by_nodes, a, b, c, float(sp.Rational(a) * sp.Rational(b) - sp.Rational(c) ** 2))
    row = activation(name)
    first, second = (function(row.expression, row.derivative) for function in by_balls)
    digits = 30 if pair == "nearly opposite" else 16  # where relu hardly overlaps with its mirror image
    exact = 0.0 if sp.S.Zero in (first, second) else float(gaussian_mean(first, second, a, b, c, digits).mid())
    return abs(found - exact) / size if size else abs(exact)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", PAIRS)
def test_means_have_thirteen_digits(name, pair):
    kind = list(FACTORS)[(NAMES.index(name) + list(PAIRS).index(pair)) % 3]
    assert error(name, kind, pair) < 1e-13


@pytest.mark.parametrize("pair", ["generic", "nearly parallel"])
def test_a_forgotten_break_point_costs_digits(pair, monkeypatch):
    monkeypatch.setattr(pair_moments, "_resolved", lambda row: tuple(map(broken_at_zero, lowered_activation(row))))
    assert error("hard-tanh", "with slopes", pair) > 1e-6


def broken_at_zero(function):
    """A function with a break at 0 alone, as relu has, whatever it is."""
    zero = np.zeros(1)
    return pair_moments.Resolved(function, zero, zero, np.inf, np.inf, 0.0)


def test_forgotten_layers_of_the_second_input_cost_digits(monkeypatch):
    monkeypatch.setattr(pair_moments, "_layers", lambda functions, edges, root, reach: [edges / root[0, 0]])
    assert error("hard-tanh", "with slopes", "nearly parallel") > 1e-6


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_nodes_are_those_of_a_standard_normal_pair(row):
    root = covariance_root(0.5, 0.25, 0.125, 0.5 * 0.25 - 0.125**2)
    nodes = gaussian_nodes(row, root)
    assert np.all(nodes.weights > 0)
    assert nodes.weights.sum() == pytest.approx(1, abs=4e-15)
    np.testing.assert_allclose((nodes.g * nodes.weights) @ nodes.g.T, np.eye(2), atol=1e-14)
    np.testing.assert_allclose((nodes.g**4) @ nodes.weights, 3, rtol=1e-13)
    np.testing.assert_allclose((nodes.z * nodes.weights) @ nodes.z.T, [[0.5, 0.125], [0.125, 0.25]], atol=1e-14)


def test_oscillations_have_their_closed_form():
    for a, b, c in ((1.0, 2.0, 0.5), (25.0, 36.0, -20.0)):
        signs = np.exp(-2 * (a + b + 2 * c)) + np.exp(-2 * (a + b - 2 * c))
        expected = (1 - np.exp(-2 * a) - np.exp(-2 * b) + signs / 2) / 4
        found, _ = mean("sin", lambda p, q, *rest: p**2 * q**2, a, b, c, a * b - c * c)
        assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("pair", "rank"),
    [((0, 0, 0, 0), 0), ((0, 2, 0, 0), 1), ((2, 0, 0, 0), 1), ((2, 2, 2, 0), 1), ((1, 4, -2, 0), 1), ((1, 4, 1, 3), 2)],
)
def test_perfectly_correlated_pairs_have_fewer_coordinates(pair, rank):
    a, b, c, _ = pair
    root = covariance_root(*map(float, pair))
    assert root.shape == (2, rank)
    np.testing.assert_allclose(root @ root.T, [[a, c], [c, b]], atol=1e-15)
    nodes = gaussian_nodes(activation("hard-tanh"), root)
    np.testing.assert_allclose((nodes.z * nodes.weights) @ nodes.z.T, [[a, c], [c, b]], atol=1e-14)
    assert nodes.weights.sum() == pytest.approx(1, abs=1e-14)


def test_rounding_errors_are_not_taken_for_a_second_coordinate():
    assert covariance_root(1.0, 2.0, np.sqrt(2.0), 1e-33).shape == (2, 1)
    assert covariance_root(1.0, 2.0, np.sqrt(2.0), 1e-25).shape == (2, 2)


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="expected finite variances >= 0, got a = -1"):
        covariance_root(-1.0, 1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"expected E\[phi\(u\)\^4\] to be finite, exp at variance 400 has none"):
        gaussian_nodes(activation("exp"), covariance_root(400.0, 1.0, 0.0, 400.0))
    with pytest.raises(ValueError, match=r"expected sin to be resolved up to \|z\| = 1.2e\+04; take smaller"):
        gaussian_nodes(activation("sin"), covariance_root(1e6, 1.0, 0.0, 1e6))
    with pytest.raises(TypeError, match="expected an activation, got the kernel"):
        gaussian_nodes(kernel_dual("c"), covariance_root(1.0, 1.0, 0.0, 1.0))
