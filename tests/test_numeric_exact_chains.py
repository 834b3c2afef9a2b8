"""Exact laws at one input against closed forms, integrals typed here, laws of one hidden layer and sampled networks."""

from __future__ import annotations

from dataclasses import fields, replace
from math import prod

import numpy as np
import pytest
from scipy.special import erf
from threadpoolctl import threadpool_limits

from derive.duals.kernel_side import kernel_dual
from numeric import chebyshev_chain, exact_chains
from numeric.chebyshev_chain import ChebyshevGrid
from numeric.exact_chains import ChainLaw, ReluChainLaw, bounded_chain, relu_chain
from numeric.finite_width import layer_two
from numeric.kernels import MLP
from numeric.leading_order import leading_order
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, empirical_kernels, sample_parameters

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5]])
SIGMA_W, SIGMA_B = (1.2, 1.4, 1.3, 1.5), (0.3, 0.5, 0.2, 0.4)
LAWS = [f.name for f in fields(ReluChainLaw)]


@pytest.fixture(scope="module", autouse=True)
def _one_blas_thread():
    with threadpool_limits(1, "blas"):  # threads that wait for each other take longer, and count as work
        yield


def network(name, layers, sigma_b=SIGMA_B):
    return MLP(name, layers, SIGMA_W[: layers + 1], sigma_b[: layers + 1])


# Laws of one hidden layer, and sampled networks


@pytest.mark.parametrize(
    ("chain", "name"),
    [(relu_chain, name) for name in ("relu", "leaky-relu", "abs", "identity")]
    + [(bounded_chain, name) for name in ("erf", "tanh", "sigmoid", "sin")],
)
@pytest.mark.parametrize("width", [1, 2, 7])
def test_one_hidden_layer_has_the_laws_of_the_theorems(chain, name, width):
    net = network(name, 1)
    law, expected = chain(net, X, [width]), layer_two(net, X, width)
    np.testing.assert_allclose(law.nngp_mean, np.diag(net.nngp(X)), rtol=1e-11)
    for found in LAWS[1:5]:
        if hasattr(law, found):
            np.testing.assert_allclose(getattr(law, found), np.diag(getattr(expected, found)), rtol=1e-10)


def scores(law, name, widths, networks):
    """How many standard errors the sampled moments are away from a law, by its attributes."""
    net = network(name, len(widths))
    phi, slope = lowered_activation(net.activations[0])
    shape = NetworkShape(3, widths, 2, net.sigma_w, net.sigma_b)
    samples = {}
    for block in range(networks // 10_000):
        parameters = sample_parameters(shape, 10_000, np.random.default_rng([len(widths), block]))
        k, theta = empirical_kernels(shape, parameters, X[:1], [phi] * len(widths), [slope] * len(widths))
        k, first, second, cross = k[:, 0, 0], theta[:, 0, 0, 0, 0], theta[:, 0, 0, 1, 1], theta[:, 0, 0, 0, 1]
        dk, d1, d2 = k - law.nngp_mean[0], first - law.tangent_mean[0], second - law.tangent_mean[0]
        rows = {
            "nngp_mean": k,
            "nngp_variance": dk**2,
            "tangent_mean": (first + second) / 2,
            "tangent_variance": (d1**2 + d2**2) / 2,
            "cross_variance": cross**2,
            "nngp_tangent_covariance": dk * (d1 + d2) / 2,
            "tangent_between_outputs": d1 * d2,
        }
        for found, values in rows.items():
            samples.setdefault(found, []).append(values)
    result = {}
    for found, values in samples.items():
        if hasattr(law, found):
            joined = np.concatenate(values)
            error = joined.std() / np.sqrt(len(joined))
            result[found] = (joined.mean() - getattr(law, found)[0]) / error
    return result


DEEP = [
    (relu_chain, "relu", (6, 12, 8)),
    (relu_chain, "leaky-relu", (9, 7)),
    (bounded_chain, "tanh", (3, 2, 4)),
    (bounded_chain, "hard-tanh", (2, 3)),
]


@pytest.mark.parametrize(("chain", "name", "widths"), DEEP)
def test_sampled_deep_networks_have_these_laws(chain, name, widths):
    law = chain(network(name, len(widths)), X[:1], widths)
    found = scores(law, name, widths, 60_000)
    assert len(found) == (7 if chain is relu_chain else 3)
    assert max(map(abs, found.values())) < 4.2, found
    for each in found:
        wrong = replace(law, **{each: 1.25 * getattr(law, each)})
        assert abs(scores(wrong, name, widths, 60_000)[each]) > 5, each


# Positively homogeneous activations: closed forms


def test_relu_at_critical_sigma_has_its_closed_form():
    """With sigma_w^2 = 2 and no bias, every layer multiplies E[K^2] by 1 + 5/N (Hanin and Nica 2020)."""
    net, widths = MLP("relu", 4, np.sqrt(2.0)), (3, 5, 4, 9)
    law = relu_chain(net, X, widths)
    k = 2 * np.sum(X**2, axis=1) / 3
    np.testing.assert_allclose(law.nngp_mean, k, rtol=1e-13)
    np.testing.assert_allclose(law.nngp_variance, k**2 * (prod(1 + 5 / n for n in widths) - 1), rtol=1e-12)
    np.testing.assert_allclose(law.output_excess_kurtosis, 3 * (prod(1 + 5 / n for n in widths) - 1), rtol=1e-12)
    np.testing.assert_allclose(law.tangent_mean, 5 * k, rtol=1e-13)


def test_wide_relu_networks_have_polynomial_variances():
    """N Var Theta tends to K^2 l (l - 1) (11 l - 4) / 3, N E Theta_kk'^2 to K^2 l (l - 1) (2 l - 1) / 3: l layers."""
    width = 10**7
    for l in range(2, 8):
        law = relu_chain(MLP("relu", l - 1, np.sqrt(2.0)), X, [width] * (l - 1))
        k = 2 * np.sum(X**2, axis=1) / 3
        np.testing.assert_allclose(width * law.tangent_variance, k**2 * l * (l - 1) * (11 * l - 4) / 3, rtol=2e-5)
        np.testing.assert_allclose(width * law.cross_variance, k**2 * l * (l - 1) * (2 * l - 1) / 3, rtol=2e-5)


WIDTHS = 3, 5


def linear_error():
    """How far moments of a linear network are from those of Wishart products, with k = K^1.

    Theta_kk' = K^3 delta_kk' + K^2 w.w'/N_2 + k w W W^T w' / (N_1 N_2), where E[K^2 | W] and E[K^3 | W] are k and
    k tr(W W^T) / (N_1 N_2), and E[|W z|^2 tr W W^T] = |z|^2 N_2 (N_1 N_2 + 2).
    """
    law = relu_chain(MLP("identity", 2), X, WIDTHS)
    k = np.sum(X**2, axis=1) / 3
    first, second = (1 + 2 / n for n in WIDTHS)
    expected = {
        "nngp_mean": k,
        "tangent_mean": 3 * k,
        "nngp_variance": k**2 * (first * second - 1),
        "cross_variance": k**2 * (first + 2 + 1 + 6 / 3) / 5,
        "nngp_tangent_covariance": k**2 * (first * second + first + 1 + 2 / 15 - 3),
    }
    return max(np.abs(getattr(law, name) / value - 1).max() for name, value in expected.items())


def one_layer_error():
    net = network("relu", 1)
    law, expected = relu_chain(net, X, [7]), layer_two(net, X, 7)
    return max(np.abs(getattr(law, name) / np.diag(getattr(expected, name)) - 1).max() for name in LAWS[1:5])


def test_linear_networks_have_the_moments_of_wishart_products():
    assert linear_error() < 1e-12


@pytest.mark.parametrize("term", exact_chains._Moments._fields)
def test_a_wrong_moment_is_seen(term, monkeypatch):
    right = exact_chains._above_homogeneous

    def wrong(below, *arguments):
        state = right(below, *arguments)
        return state._replace(**{term: 1.02 * getattr(state, term)})

    assert max(linear_error(), one_layer_error()) < 1e-10
    monkeypatch.setattr(exact_chains, "_above_homogeneous", wrong)
    assert max(linear_error(), one_layer_error()) > 1e-3


# Bounded activations: integrals typed here


T = np.linspace(-9, 9, 73)
W = np.exp(-(T**2) / 2) * (T[1] - T[0]) / np.sqrt(2 * np.pi)
"""The trapezoidal rule converges exponentially for analytic functions that decay."""


def erf_by_integrals():
    """E K^3, Var K^3 and E Theta^3 of an erf network of widths 1 and 1, over z^1, and w and b of the second layer."""
    (_, w2, w3), (_, b2, b3) = SIGMA_W[:3], SIGMA_B[:3]
    k1 = SIGMA_B[0] ** 2 + SIGMA_W[0] ** 2 * X[0] @ X[0] / 3

    def bell(z):
        return 2 / np.sqrt(np.pi) * np.exp(-z * z)

    fine = np.linspace(-9, 9, 4 * (len(T) - 1) + 1)  # erf of erf is less smooth
    z1, w, b = np.meshgrid(np.sqrt(k1) * fine, T, T, indexing="ij")
    weights = (np.exp(-(fine**2) / 2) / np.exp(-(fine**2) / 2).sum())[:, None, None] * W[:, None] * W
    k2 = b2**2 + w2**2 * erf(z1) ** 2
    z2 = w2 * erf(z1) * w + b2 * b
    theta2 = k2 + w2**2 * w**2 * bell(z1) ** 2 * k1
    k3 = b3**2 + w3**2 * erf(z2) ** 2
    theta3 = k3 + w3**2 * bell(z2) ** 2 * theta2
    mean = np.sum(weights * k3)
    return mean, np.sum(weights * (k3 - mean) ** 2), np.sum(weights * theta3)


def test_width_one_has_the_law_of_an_integral():
    law = bounded_chain(network("erf", 2), X[:1], (1, 1))
    expected = erf_by_integrals()
    found = law.nngp_mean[0], law.nngp_variance[0], law.tangent_mean[0]
    assert found == pytest.approx(expected, rel=1e-9)


def test_step_networks_count_heads():
    """phi^2 is 1 with probability 1/2, whatever the layers below: K is s_b^2 + s_w^2 B / N with B binomial."""
    law = bounded_chain(network("step", 3), X, (4, 2, 5))
    w, b = SIGMA_W[3] ** 2, SIGMA_B[3] ** 2
    np.testing.assert_allclose(law.nngp_mean, b + w / 2, rtol=1e-12)
    np.testing.assert_allclose(law.nngp_variance, w**2 / 20, rtol=1e-11)
    np.testing.assert_allclose(law.tangent_mean, law.nngp_mean, rtol=1e-12)


def test_sign_networks_have_no_fluctuations():
    law = bounded_chain(network("sign", 3), X, (4, 2, 5))
    np.testing.assert_allclose(law.nngp_mean, SIGMA_W[3] ** 2 + SIGMA_B[3] ** 2, rtol=1e-13)
    assert law.nngp_variance.max() < 1e-25


def test_hard_tanh_at_small_inputs_is_linear():
    x, scales = 0.01 * X, ((1.2, 1.4, 1.3), (0.002, 0.003, 0.005))
    bounded = bounded_chain(MLP("hard-tanh", 2, *scales), x, (3, 5))
    linear = relu_chain(MLP("identity", 2, *scales), x, (3, 5))
    for law in ("nngp_mean", "nngp_variance", "tangent_mean"):
        np.testing.assert_allclose(getattr(bounded, law), getattr(linear, law), rtol=1e-8)


def limit_error(name):
    """How far N times variance and bias, extrapolated in N, are from the leading orders."""
    net, x = network(name, 3), X[:1]
    k, theta = (float(limit[0, 0]) for limit in net.kernels(x))
    rows = []
    for n in (24, 48, 96):
        law = bounded_chain(net, x, (n, 2 * n, n // 2))
        rows.append(n * np.array([law.nngp_mean[0] - k, law.nngp_variance[0], law.tangent_mean[0] - theta]))
    found = leading_order(net, x, (1.0, 2.0, 0.5))
    expected = np.array([found.nngp_bias, found.nngp_variance, found.tangent_bias])[:, 0, 0]
    return np.abs((rows[0] / 3 - 2 * rows[1] + 8 / 3 * rows[2]) / expected - 1).max()


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_wide_networks_have_the_leading_orders(name):
    assert limit_error(name) < 1e-4


@pytest.mark.parametrize("term", ["slopes", "slopes_along", "form", "form_along"])
def test_a_wrong_factor_in_a_transition_is_seen(term, monkeypatch):
    right = chebyshev_chain._transition

    def wrong(*arguments):
        step = right(*arguments)
        return replace(step, **{term: 1.02 * getattr(step, term)})

    monkeypatch.setattr(chebyshev_chain, "_transition", wrong)
    assert limit_error("erf") > 1e-3


def test_a_wrong_number_of_summands_is_seen(monkeypatch):
    right = ChebyshevGrid.average
    monkeypatch.setattr(ChebyshevGrid, "average", lambda grid, law, count: right(grid, law, count + 1))
    law = bounded_chain(network("step", 1), X, [9])
    assert abs(law.nngp_variance[0] * 36 / SIGMA_W[1] ** 4 - 1) > 1e-3


@pytest.mark.parametrize("count", [1, 2, 3, 6, 100])
def test_laws_of_averages_have_the_moments_of_binomial_ones(count):
    grid = ChebyshevGrid(16)
    law = np.array([[0.25, 0.75]]) @ grid.weights(np.array([-1.0, 1.0]))
    average = grid.average(law, count)[0]
    assert average.sum() == pytest.approx(1, abs=1e-13)
    assert average @ grid.nodes == pytest.approx(0.5, abs=1e-13)
    assert average @ (grid.nodes - 0.5) ** 2 == pytest.approx(0.75 / count, rel=1e-12)
    third = -2 * 0.5 * 0.75 / count**2
    assert average @ (grid.nodes - 0.5) ** 3 == pytest.approx(third, rel=1e-9)


# The output, zero inputs, refusals


def test_the_output_has_the_fourth_cumulant_of_a_gaussian_of_random_variance():
    law = ChainLaw(np.array([2.0, 0.0]), np.array([0.5, 0.0]), np.array([3.0, 0.0]))
    np.testing.assert_array_equal(law.output_fourth_cumulant, [1.5, 0.0])
    np.testing.assert_array_equal(law.output_excess_kurtosis, [0.375, np.nan])


@pytest.mark.parametrize(("chain", "name"), [(relu_chain, "relu"), (bounded_chain, "tanh")])
def test_a_zero_input_without_bias_stays_zero(chain, name):
    law = chain(MLP(name, 2, 1.3), np.zeros((1, 3)), (3, 4))
    assert all(getattr(law, f.name)[0] == 0 for f in fields(law))


@pytest.mark.parametrize("chain", [relu_chain, bounded_chain])
def test_what_does_not_fit_is_refused(chain):
    name = "relu" if chain is relu_chain else "tanh"
    with pytest.raises(ValueError, match="widths must be 2 numbers, one per hidden layer, got 1"):
        chain(MLP(name, 2), X, [3])
    for width in (0, 2.5, True):
        with pytest.raises(ValueError, match="a width must be a positive integer, got"):
            chain(MLP(name, 1), X, [width])
    with pytest.raises(ValueError, match="those of the derived recursion, got a changed one"):
        chain(MLP(name, 1).with_recursion(), X, [3])
    with pytest.raises(TypeError, match="expected an activation, got the kernel"):
        chain(MLP(kernel_dual("c"), 1), X, [3])


@pytest.mark.parametrize("name", ["tanh", "elu", "hard-tanh", "softplus", "z2"])
def test_relu_chain_refuses_what_is_not_homogeneous(name):
    with pytest.raises(ValueError, match=f"expected an activation with .*, such as relu, got {name}; bounded"):
        relu_chain(MLP(name, 1), X, [3])


@pytest.mark.parametrize("name", ["relu", "gelu", "softplus", "exp", "z2", "log(1 + z**2)"])
def test_bounded_chain_refuses_what_is_not_bounded(name):
    with pytest.raises(ValueError, match="expected a bounded activation, got"):
        bounded_chain(MLP(name, 1), X, [3])


def test_laws_that_no_polynomial_resolves_are_refused():
    with pytest.raises(ValueError, match="expected a law that polynomials of degree 96 resolve, got means"):
        bounded_chain(MLP("hard-tanh", 3, 1.4), X[:1], (1, 1, 1))
