"""Laws of outputs of one hidden layer: against sums over active units, other quadratures, networks and the limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import numeric.output_laws
from numeric.finite_width import layer_two
from numeric.kernels import MLP
from numeric.output_laws import cosine_covariance, cosine_means, excess_of_cdf, kolmogorov_distance

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.9, 2.0, 1.7], [0.0, 0.0, 0.0]])
SIGMA_W, SIGMA_B = 1.2, 0.4
NETS = {name: MLP(name, 1, SIGMA_W, SIGMA_B) for name in ("relu", "erf")}
FREQUENCIES = np.array([0.7, 1.1, 0.4, 2.0])
PEAK = 0.7419637843027259  # the first zero of He_4


def first_kernel(x, other):
    return SIGMA_B**2 + SIGMA_W**2 * float(x @ other) / len(x)


def scales(net):
    return np.sqrt(np.diag(net.nngp(X)))


# Oracles: of relu a sum over the number of active units, of erf the trapezoidal rule over units


def relu_mixture(width, given):
    """Return the mean over the number of active units, which is binomial; the sum of phi^2 is chi-squared given it."""
    return sum(math.comb(width, active) * 0.5**width * given(active) for active in range(width + 1))


def relu_cdf_excess(x, width, z):
    """By integrals of the normal distribution function over the densities of chi laws, smooth on the half line."""
    a = first_kernel(x, x)
    limit = math.sqrt(SIGMA_B**2 + SIGMA_W**2 * a / 2)
    nodes, weights = np.polynomial.legendre.leggauss(150)
    root, weights = 6 * (nodes + 1), 6 * weights

    def given(active):
        if not active:
            return special.ndtr(z / SIGMA_B)
        density = root ** (active - 1) * np.exp(-(root**2) / 2) * 2 ** (1 - active / 2) / math.gamma(active / 2)
        deviations = np.sqrt(SIGMA_B**2 + SIGMA_W**2 / width * a * root**2)
        return special.ndtr(z[:, None] / deviations) @ (density * weights)

    return relu_mixture(width, given) - special.ndtr(z / limit)


def erf_mean(x, other, first, second, width, bias=SIGMA_B**2):
    """E exp(-first K(x,x) - second K(x',x')) with the trapezoidal rule, exponentially accurate for entire functions."""
    a, b, c = first_kernel(x, x), first_kernel(other, other), first_kernel(x, other)
    t = np.arange(-9, 9.01, 0.05)
    w = np.exp(-t * t / 2)
    w /= w.sum()
    u = np.sqrt(a) * t[:, None]
    v = c / np.sqrt(a) * t[:, None] + np.sqrt(max(b - c * c / a, 0.0)) * t
    exponent = SIGMA_W**2 / width * (first * special.erf(u) ** 2 + second * special.erf(v) ** 2)
    return math.exp(-bias * (first + second)) * float(w @ np.exp(-exponent) @ w) ** width


@pytest.mark.parametrize("width", [1, 2, 5])
def test_mean_cosines_of_relu_are_sums_over_active_units(width):
    found = cosine_means(NETS["relu"], X, width, FREQUENCIES)
    for x, w, value in zip(X, FREQUENCIES, found, strict=True):
        s = w * w / 2
        factor = (1 + 2 * s * SIGMA_W**2 / width * first_kernel(x, x)) ** -0.5
        expected = math.exp(-s * SIGMA_B**2) * relu_mixture(width, lambda active, f=factor: f**active)
        assert value == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("width", [1, 3, 40])
def test_covariances_of_cosines_are_those_of_another_quadrature(width):
    found = cosine_covariance(NETS["erf"], X, width, FREQUENCIES)
    half = FREQUENCIES**2 / 2
    for i in range(len(X)):
        for j in range(len(X)):
            together = erf_mean(X[i], X[j], half[i], half[j], width)
            alone = erf_mean(X[i], X[j], half[i], 0, width) * erf_mean(X[i], X[j], 0, half[j], width)
            size = math.sqrt(found[i, i] * found[j, j])  # the oracle subtracts numbers near 1
            assert found[i, j] == pytest.approx(together - alone, abs=1e-9 * size + 1e-14)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_the_distribution_function_of_relu_is_that_of_the_mixture(width):
    z = np.multiply.outer(scales(NETS["relu"]), [-2.5, -0.6, 0.2, 1.3, 6.0])
    found = excess_of_cdf(NETS["relu"], X, width, z)
    for i in (0, 2, 3):
        np.testing.assert_allclose(found[i], relu_cdf_excess(X[i], width, z[i]), atol=1e-12)


def test_the_distribution_function_of_erf_at_width_one_is_that_of_one_unit():
    z = np.multiply.outer(scales(NETS["erf"]), [-1.7, 0.4, PEAK])
    found = excess_of_cdf(NETS["erf"], X, 1, z)
    t = np.arange(-9, 9.001, 0.01)
    weights = np.exp(-t * t / 2) * 0.01 / math.sqrt(2 * math.pi)
    for i, x in enumerate(X):
        kernels = SIGMA_B**2 + SIGMA_W**2 * special.erf(math.sqrt(first_kernel(x, x)) * t) ** 2
        normal = special.ndtr(z[i] / math.sqrt(weights @ kernels))
        np.testing.assert_allclose(
            found[i], special.ndtr(z[i][:, None] / np.sqrt(kernels)) @ weights - normal, atol=1e-12
        )


@pytest.mark.parametrize("name", NETS)
def test_laws_agree_with_sampled_networks(name):
    rng = np.random.default_rng(5)
    n, width, phi = 200_000, 3, {"relu": lambda u: np.maximum(u, 0), "erf": special.erf}[name]
    units = SIGMA_W / math.sqrt(3) * rng.standard_normal((n, width, 3)) @ X.T
    values = phi(units + SIGMA_B * rng.standard_normal((n, width, 1)))
    one, two = (
        SIGMA_W / math.sqrt(width) * np.einsum("nj,njp->np", rng.standard_normal((n, width)), values)
        + SIGMA_B * rng.standard_normal((n, 1))
        for _ in range(2)
    )
    below = one[:, None, :] <= np.array([-1.0, 0.5])[:, None] * scales(NETS[name])
    excess = excess_of_cdf(NETS[name], X, width, np.multiply.outer(scales(NETS[name]), [-1.0, 0.5]))
    expected = excess.T + special.ndtr([-1.0, 0.5])[:, None]
    assert np.all(np.abs(below.mean(axis=0) - expected) < 4.5 * 0.5 / math.sqrt(n))
    cosines = [np.cos(FREQUENCIES * z) - cosine_means(NETS[name], X, width, FREQUENCIES) for z in (one, two)]
    products = cosines[0][:, :, None] * cosines[1][:, None, :]
    deviation = products.mean(axis=0) - cosine_covariance(NETS[name], X, width, FREQUENCIES)
    assert np.all(np.abs(deviation) < 4.5 * products.std(axis=0) / math.sqrt(n))


# The limit


@pytest.mark.parametrize("name", NETS)
def test_n_times_the_covariance_tends_to_the_variance_of_the_kernel(name):
    """e^{-K} Var K / 4 at frequency 1, to leading order."""
    net = NETS[name]
    leading = np.exp(-(scales(net) ** 2)) * np.diag(layer_two(net, X, 1).nngp_variance) / 4
    errors = [
        np.abs(width * np.diag(cosine_covariance(net, X, width, np.ones(4))) / leading - 1).max()
        for width in (1000, 10_000, 1_000_000)
    ]
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 8
    assert errors[2] < errors[0] / 700  # no digits are lost where the covariance is 1e-7


@pytest.mark.parametrize("name", NETS)
def test_the_distance_from_the_normal_law_falls_like_one_over_n(name):
    net = NETS[name]
    height = abs(PEAK**3 - 3 * PEAK) * math.exp(-(PEAK**2) / 2) / math.sqrt(2 * math.pi)
    leading = height / 8 * np.diag(layer_two(net, X, 1).nngp_variance) / scales(net) ** 4
    for width, error in ((16, 0.3), (256, 0.02)):
        distance = kolmogorov_distance(net, X, width)
        np.testing.assert_allclose(width * distance, leading, rtol=error)
        at_peak = excess_of_cdf(net, X, width, PEAK * scales(net)[:, None])[:, 0]
        assert np.all((at_peak <= distance * (1 + 1e-9)) & (at_peak > (1 - 8 / width**2) * distance))


def test_the_largest_distance_is_found():
    net = NETS["relu"]
    fine = np.linspace(0.01, 4, 1500) * scales(net)[:, None]
    for width in (1, 4):
        largest = np.abs(excess_of_cdf(net, X, width, fine)).max(axis=1)
        np.testing.assert_allclose(kolmogorov_distance(net, X, width), largest, rtol=1e-5)


def test_in_the_limit_outputs_are_independent_and_normal():
    net = NETS["relu"]
    assert not cosine_covariance(net, X, math.inf, FREQUENCIES).any()
    assert not excess_of_cdf(net, X, math.inf, scales(net)[:, None]).any()
    np.testing.assert_allclose(
        cosine_means(net, X, math.inf, FREQUENCIES), np.exp(-((FREQUENCIES * scales(net)) ** 2) / 2), rtol=1e-13
    )


@pytest.mark.parametrize("name", ["sin", "tanh", "sign"])
def test_other_activations_have_symmetric_laws_with_peaks(name):
    net = MLP(name, 1, SIGMA_W, SIGMA_B)
    z = np.multiply.outer(scales(net), [-PEAK, PEAK])
    excess = excess_of_cdf(net, X[:3], 3, z[:3])
    np.testing.assert_allclose(excess[:, 0], -excess[:, 1], atol=1e-15)
    if name == "sign":  # its square is 1 almost everywhere: outputs are exactly normal and independent
        np.testing.assert_allclose(excess, 0, atol=1e-12)
        np.testing.assert_allclose(cosine_covariance(net, X[:3], 3, FREQUENCIES[:3]), 0, atol=1e-15)
    else:
        assert np.all(excess[:, 1] > 1e-4)


# Planted errors


@pytest.mark.parametrize("planted", ["the width", "the bias", "half the exponent"])
def test_a_wrong_law_of_the_kernel_is_seen(planted, monkeypatch):
    right = numeric.output_laws._Unit.log_mean

    def wrong(unit, s, width):
        if planted == "the width":
            return right(unit, s, width + 1)
        if planted == "the bias":
            return right(unit, s, width) + unit.bias * s.sum(axis=1) / 2
        return right(unit, s / 2, width)

    monkeypatch.setattr(numeric.output_laws._Unit, "log_mean", wrong)
    with pytest.raises(AssertionError):
        test_mean_cosines_of_relu_are_sums_over_active_units(2)


@pytest.mark.parametrize(("name", "value"), [("_FARTHEST", 2.0), ("_NEGLIGIBLE", 1e-2), ("_STEP", 9.0)])
def test_a_coarse_inversion_is_seen(name, value, monkeypatch):
    monkeypatch.setattr(numeric.output_laws, name, value)
    numeric.output_laws._on_rules.cache_clear()
    try:
        with pytest.raises(AssertionError):
            test_the_distribution_function_of_relu_is_that_of_the_mixture(2)
    finally:
        numeric.output_laws._on_rules.cache_clear()


# Users' errors


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="one hidden layer, got 2"):
        cosine_means(MLP("relu", 2), X, 4, FREQUENCIES)
    for width in (0, 2.5, math.nan):
        with pytest.raises(ValueError, match="width must be a positive integer, or infinity"):
            cosine_covariance(NETS["relu"], X, width, FREQUENCIES)
    with pytest.raises(ValueError, match="take a larger sigma_b or width"):
        kolmogorov_distance(MLP("relu", 1, 1.4, 0.0), X[:1], 1)  # K is 0 with probability one half
