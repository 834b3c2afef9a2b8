"""Laws of one hidden layer at finite width, and the quadrature under them, against formulas typed here."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special

from derive import mutations
from derive.lecture import finite_width
from numeric.finite_width import law, layer_two, theorems
from numeric.kernels import MLP
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, empirical_kernels, sample_parameters

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1], [-0.6, 0.8, -1.1]])
SIGMA_W, SIGMA_B = (1.2, 1.5), (0.2, 0.4)
LAWS = ("nngp_variance", "tangent_mean", "tangent_variance", "cross_variance", "kernel_covariance")
MOMENTS_OF_OUTPUTS = ("output_moments", "cross_moments")


def bell(u):
    return 2 / np.sqrt(np.pi) * np.exp(-u * u)


# The laws, typed out


def integral(powers: tuple[int, int, int, int], name: str, a: float, b: float, c: float) -> float:
    """E[phi(u)^i phi(v)^j phi'(u)^m phi'(v)^n]: the trapezoidal rule for erf, for relu a radius times an angle."""
    i, j, m, n = powers
    along, across = c / np.sqrt(a), np.sqrt(max(b - c * c / a, 0.0))
    if name == "erf":
        t = np.linspace(-9, 9, 361)  # the trapezoidal rule converges exponentially for analytic functions that decay
        w = np.exp(-t * t / 2) * (t[1] - t[0])
        u, v = np.sqrt(a) * t[:, None] + 0 * t, along * t[:, None] + across * t
        values = special.erf(u) ** i * special.erf(v) ** j * bell(u) ** m * bell(v) ** n
        return float(w @ values @ w) / (2 * np.pi)
    degree = i + j

    def ring(angle):
        p, q = np.sqrt(a) * np.cos(angle), along * np.cos(angle) + across * np.sin(angle)
        return p**i * q**j if (p > 0 or i + m == 0) and (q > 0 or j + n == 0) else 0.0

    kinks = np.array([-np.pi / 2, np.pi / 2])
    if across:
        kink = np.arctan(-along / across)
        kinks = np.append(kinks, [kink, kink + np.pi if kink < 0 else kink - np.pi])
    edges = np.unique(np.append(kinks, [-np.pi, np.pi]))
    angular = sum(integrate.quad(ring, lo, hi, epsabs=1e-13)[0] for lo, hi in pairwise(edges))
    return 2 ** (degree / 2) * special.gamma(degree / 2 + 1) * angular / (2 * np.pi)


@cache
def expected_law(name: str, i: int, j: int, width: int) -> dict[str, float]:
    """Mean and variance of the kernels of one hidden layer, from Omega = s p q + Delta and Delta = s d d K^1."""
    x, y = X[i], X[j]
    a, b, c = (SIGMA_B[0] ** 2 + SIGMA_W[0] ** 2 * p / 3 for p in (x @ x, y @ y, x @ y))

    def mean(*powers):
        return integral(powers, name, a, b, c)

    s = SIGMA_W[1] ** 2
    omega = s * mean(1, 1, 0, 0) + s * c * mean(0, 0, 1, 1)
    delta_squared = (s * c) ** 2 * mean(0, 0, 2, 2)

    def of_kernels(
        first, second
    ):  # E[K K'] for K = sigma_b^2 + s/N sum f, K' = sigma_b^2 + s/N sum f', E[f f'] = E[p^2 q^2]
        bias = SIGMA_B[1] ** 2
        pairs = mean(2, 2, 0, 0) / width + (1 - 1 / width) * first * second
        return bias**2 + bias * s * (first + second) + s * s * pairs

    squares = of_kernels(mean(2, 0, 0, 0), mean(0, 2, 0, 0))
    omega_squared = s * s * (mean(2, 2, 0, 0) + 2 * c * mean(1, 1, 1, 1)) + delta_squared
    return {
        "nngp_variance": s * s * (mean(2, 2, 0, 0) - mean(1, 1, 0, 0) ** 2) / width,
        "tangent_mean": SIGMA_B[1] ** 2 + omega,
        "tangent_variance": (omega_squared - omega**2 + 2 * delta_squared) / width,
        "cross_variance": delta_squared / width,
        "kernel_covariance": s * (s * mean(2, 2, 0, 0) + s * c * mean(1, 1, 1, 1) - mean(1, 1, 0, 0) * omega) / width,
        "output_moments": squares + 2 * of_kernels(mean(1, 1, 0, 0), mean(1, 1, 0, 0)),
        "cross_moments": squares,
    }


@pytest.mark.parametrize("name", ["relu", "erf"])
@pytest.mark.parametrize("width", [1, 16])
def test_the_laws_agree_with_integrals_typed_here(name, width):
    laws = layer_two(MLP(name, 1, SIGMA_W, SIGMA_B), X, width)
    for i, j in ((0, 0), (1, 0), (1, 1), (2, 0), (3, 1)):
        expected = expected_law(name, i, j, width)
        for key in (*LAWS, *MOMENTS_OF_OUTPUTS):
            found = getattr(laws, key)
            assert found[i, j] == pytest.approx(expected[key], rel=1e-9), (key, i, j)
            assert found[i, j] == found[j, i]


@pytest.mark.parametrize("name", ["identity", "relu", "erf"])
def test_the_mean_of_the_tangent_kernel_is_its_limit_at_every_width(name):
    network = MLP(name, 1, SIGMA_W, SIGMA_B)
    for width in (1, 7):
        np.testing.assert_allclose(layer_two(network, X, width).tangent_mean, network.ntk(X), rtol=1e-10)


def test_relu_at_one_input_without_bias_has_the_known_variances():
    x = np.array([[1.0, 2.0, -0.5], [0.1, 0.0, 0.2]])
    sigma_w, width = 1.3, 5
    k = sigma_w**2 * np.sum(x**2, axis=1) / 3
    laws = layer_two(MLP("relu", 1, sigma_w, 0.0), x, width)
    np.testing.assert_allclose(np.diag(laws.nngp_variance), sigma_w**4 / width * 1.25 * k**2, rtol=1e-12)
    # At sigma_w^2 = 2: K^2/3 L(L-1)(11L-4) and K^2/3 L(L-1)(2L-1) at L = 2 layers, divided by the width.
    laws = layer_two(MLP("relu", 1, np.sqrt(2.0), 0.0), x, width)
    k = 2 * np.sum(x**2, axis=1) / 3
    np.testing.assert_allclose(np.diag(laws.tangent_variance), 12 * k**2 / width, rtol=1e-12)
    np.testing.assert_allclose(np.diag(laws.cross_variance), 2 * k**2 / width, rtol=1e-12)


def test_the_identity_network_has_wishart_variances():
    laws = layer_two(MLP("identity", 1, [1.0, 1.5], [0.2, 0.4]), X, 3)
    k = 0.04 + X @ X.T / 3
    diagonal = np.diag(k)
    expected = 1.5**4 / 3 * (np.outer(diagonal, diagonal) + k**2)
    np.testing.assert_allclose(laws.nngp_variance, expected, rtol=1e-12)
    np.testing.assert_allclose(laws.cross_variance, 1.5**4 / 3 * k**2, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "erf"])
def test_sampled_networks_have_these_variances(name):
    width, networks = 3, 60_000
    x = X[:2]
    phi, slope = lowered_activation(MLP(name).activations[0])
    shape = NetworkShape(3, (width,), 2, SIGMA_W, SIGMA_B)
    nngp, ntk = empirical_kernels(
        shape, sample_parameters(shape, networks, np.random.default_rng(11)), x, [phi], [slope]
    )
    laws = layer_two(MLP(name, 1, SIGMA_W, SIGMA_B), x, width)
    limit = MLP(name, 1, SIGMA_W, SIGMA_B).kernels(x)
    for deviation, variance in (
        (nngp - limit[0], laws.nngp_variance),
        (ntk[..., 0, 0] - limit[1], laws.tangent_variance),
        (ntk[..., 0, 1], laws.cross_variance),
    ):
        for values, expected in ((deviation, 0.0), (deviation**2, variance)):
            score = (values.mean(axis=0) - expected) / (values.std(axis=0) / np.sqrt(networks))
            assert np.max(np.abs(score)) < 5, score
        wrong = (deviation**2).mean(axis=0) - 1.2 * variance
        assert np.max(np.abs(wrong / ((deviation**2).std(axis=0) / np.sqrt(networks)))) > 5


# Changed theorems and errors


def test_a_changed_law_changes_the_numbers():
    network = MLP("relu", 1, SIGMA_W, SIGMA_B)
    derived = layer_two(network, X, 4)
    for name, (side, equal) in theorems().items():
        changed = law(network, X, 4, mutations.scaled(side), equal)
        np.testing.assert_allclose(changed, 1.02 * getattr(derived, name), rtol=1e-12)


def test_the_statements_give_the_derived_numbers():
    network = MLP("erf", 1, SIGMA_W, SIGMA_B)
    derived = layer_two(network, X, 4)
    tangent, output = finite_width.tangent_variance_statement(), finite_width.output_moments_statement()
    stated = {
        "nngp_variance": (finite_width.kernel_variance_statement(), True),
        "tangent_variance": (tangent, True),
        "cross_variance": (tangent, False),
        "kernel_covariance": (finite_width.kernel_covariance_statement(), True),
        "output_moments": (output, True),
        "cross_moments": (output, False),
    }
    for name, (side, equal) in stated.items():
        np.testing.assert_allclose(law(network, X, 4, side, equal), getattr(derived, name), rtol=1e-12)


def test_the_first_layer_of_a_changed_network_is_changed():
    network = MLP("relu", 1, SIGMA_W, 0.0)
    wrong = network.with_recursion(
        first_kernel=mutations.scaled(network.with_recursion().recursion.first_kernel)  # type: ignore[union-attr]
    )
    changed, derived = (layer_two(net, X[:2], 4).nngp_variance for net in (wrong, network))
    np.testing.assert_allclose(changed, 1.02**2 * derived, rtol=1e-10)


def test_the_variance_falls_like_one_over_the_width():
    network = MLP("erf", 1, SIGMA_W, SIGMA_B)
    one, many = (layer_two(network, X, n) for n in (1, np.int64(50)))
    for name in ("nngp_variance", "tangent_variance", "cross_variance"):
        np.testing.assert_allclose(50 * getattr(many, name), getattr(one, name), rtol=1e-13)
        assert np.all(getattr(one, name) > 0)


def test_a_zero_input_without_bias_has_no_spread():
    laws = layer_two(MLP("relu", 1, 1.4, 0.0), np.vstack([X[:1], np.zeros(3)]), 4)
    for name in LAWS:
        assert getattr(laws, name)[1, 0] == getattr(laws, name)[1, 1] == 0


@pytest.mark.parametrize("width", [0, -3, 2.5, float("nan"), True])
def test_a_width_that_is_not_a_positive_integer_is_refused(width):
    with pytest.raises(ValueError, match=f"width must be a positive integer, got {width}"):
        layer_two(MLP("relu", 1), X, width)


@pytest.mark.parametrize("layers", [0, 2])
def test_another_number_of_hidden_layers_is_refused(layers):
    with pytest.raises(ValueError, match=f"exact laws need one hidden layer, got {layers}"):
        layer_two(MLP("relu", layers), X, 4)


@pytest.mark.parametrize("name", ["hard-tanh", "hard-swish", "relu6"])
def test_activations_with_kinks_off_zero_have_their_digits(name):
    net = MLP(name, 1, SIGMA_W, SIGMA_B)
    a = net.first_layer(X)[0].a[0, 0]
    phi, _ = lowered_activation(net.activations[0])

    def mean(power):
        points = [k / np.sqrt(a) for k in (-3, -1, 0, 1, 3, 6) if abs(k) < 12 * np.sqrt(a)]
        edges = [-12.0, *points, 12.0]
        density = 1 / np.sqrt(2 * np.pi)
        return sum(
            integrate.quad(lambda t: phi(np.array(np.sqrt(a) * t)) ** power * np.exp(-t * t / 2) * density, low, high)[
                0
            ]
            for low, high in pairwise(edges)
        )

    expected = SIGMA_W[1] ** 4 * (mean(4) - mean(2) ** 2) / 16
    assert layer_two(net, X, 16).nngp_variance[0, 0] == pytest.approx(expected, rel=1e-11)
