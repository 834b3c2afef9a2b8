"""Leading 1/N coefficients against exact laws, polynomial networks done by hand, and sampled networks."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import special
from threadpoolctl import threadpool_limits

from derive.duals.kernel_side import kernel_dual
from numeric import leading_order as module
from numeric.control_variate import control_variate
from numeric.exact_chains import bounded_chain, relu_chain
from numeric.finite_width import layer_two
from numeric.kernels import MLP
from numeric.leading_order import LeadingOrder, Units, leading_order
from numeric.lower_duals import lowered_dual
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, empirical_kernels, forward, sample_parameters

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1], [-0.6, 0.8, -1.1], [0.0, 0.0, 0.0]])
POINTS = np.array([[0.6, -0.8, 1.1], [1.4, -0.9, 0.2]])
NAMES = [f.name for f in fields(LeadingOrder)]
VARIANCES = ["nngp_variance", "tangent_variance", "cross_variance"]


@pytest.fixture(scope="module", autouse=True)
def _one_blas_thread():
    with threadpool_limits(1, "blas"):  # threads that wait for each other take longer, and count as work
        yield


def coefficients(found, at):
    return np.array([getattr(found, name)[at] for name in NAMES])


# One hidden layer: exact


@pytest.mark.parametrize("name", ["relu", "erf", "sigmoid"])
@pytest.mark.parametrize("sigma_b", [0.0, (0.2, 0.4)])
def test_one_hidden_layer_is_exact(name, sigma_b):
    net = MLP(name, 1, (1.2, 1.5), sigma_b)
    x = X[[0, 1, 3, 4]]
    found, exact = leading_order(net, x), layer_two(net, x, 7)
    for law in VARIANCES:
        expected = 7 * getattr(exact, law)
        np.testing.assert_allclose(getattr(found, law), expected, rtol=1e-12, atol=1e-13 * expected.max())
    assert np.abs(found.nngp_bias).max() == np.abs(found.tangent_bias).max() == 0
    np.testing.assert_allclose(
        found.tangent_variance, found.tangent_between_outputs + 2 * found.cross_variance, rtol=1e-13
    )


def test_no_hidden_layer_has_no_fluctuations():
    found = leading_order(MLP("relu", 0), X)
    assert all(np.array_equal(getattr(found, name), np.zeros((5, 5))) for name in NAMES)


# One input: the limit of exact laws at any depth


CHAINS = {"relu": (relu_chain, 1 << 12), "leaky-relu": (relu_chain, 1 << 12), "tanh": (bounded_chain, 32)}
LAW_OF = {"nngp_bias": ("nngp_mean", 0), "tangent_bias": ("tangent_mean", 1)}
RATIOS = 1.0, 2.0, 0.5


def deep(name):
    return MLP(name, 3, (1.2, 1.4, 1.3, 1.5), (0.3, 0.5, 0.2, 0.4))


def extrapolated(name):
    """N times the exact laws at three widths, extrapolated to infinite width; nothing for laws that are not known."""
    chain, width = CHAINS[name]
    net, x = deep(name), X[:1]
    limits = [float(k[0, 0]) for k in net.kernels(x)]
    rows = []
    for n in (width, 2 * width, 4 * width):
        law = chain(net, x, [int(n * ratio) for ratio in RATIOS])
        values = [getattr(law, LAW_OF.get(law_name, (law_name,))[0], None) for law_name in NAMES]
        below = [limits[LAW_OF[law_name][1]] if law_name in LAW_OF else 0.0 for law_name in NAMES]
        rows.append([n * (v[0] - k) if v is not None else np.nan for v, k in zip(values, below, strict=True)])
    first, second, third = np.array(rows)
    return first / 3 - 2 * second + 8 / 3 * third


@pytest.fixture(scope="module")
def exact_limits():
    return {name: extrapolated(name) for name in CHAINS}


def disagreement(name, exact_limits):
    """The largest difference to the limit of the exact laws, in units of the largest coefficient of its kernel."""
    found, exact = coefficients(leading_order(deep(name), X[:1], RATIOS), (0, 0)), exact_limits[name]
    return np.nanmax(np.abs(found - exact) / np.maximum(np.abs(exact), 0.1))


@pytest.mark.parametrize("name", CHAINS)
def test_one_input_has_the_limit_of_the_exact_law(name, exact_limits):
    assert np.isfinite(exact_limits[name]).sum() == (7 if name != "tanh" else 3)
    assert disagreement(name, exact_limits) < 1e-5


INJECTED = ["kernel", "mixed", "between", "cross", "response", "kernel_bias", "tangent_bias"]


@pytest.mark.parametrize("term", INJECTED)
def test_a_wrong_factor_in_what_a_layer_injects_is_seen(term, monkeypatch, exact_limits):
    right = module._next_layer

    def wrong(below, units, ratio):
        layer = right(below, units, ratio)
        planted = ratio == (2.0 if "bias" in term else 1.0)  # biases begin in the second hidden layer
        return replace(layer, **{term: 1.05 * getattr(layer, term)}) if planted else layer

    monkeypatch.setattr(module, "_next_layer", wrong)
    assert max(disagreement(name, exact_limits) for name in CHAINS) > 1e-3


@pytest.mark.parametrize("method", ["gradient", "second_order", "covariance"])
def test_a_wrong_factor_in_a_derivative_is_seen(method, monkeypatch, exact_limits):
    right = getattr(Units, method)
    monkeypatch.setattr(Units, method, lambda *arguments: 1.05 * right(*arguments))
    assert max(disagreement(name, exact_limits) for name in CHAINS) > 1e-3


def test_a_forgotten_ratio_is_seen(monkeypatch, exact_limits):
    monkeypatch.setattr(module, "_ratios", lambda ratios, layers: (1.0,) * layers)
    assert disagreement("relu", exact_limits) > 0.1


# Two inputs: networks done by hand


def test_a_linear_network_has_the_coefficients_of_wishart_products():
    """Theta_kk' = K^3 delta_kk' + K^2 w.w'/N + K^1 w W W^T w'/N^2, and N Var K^2_ab = q = k_aa k_bb + k_ab^2."""
    found = leading_order(MLP("identity", 2), X[:4])
    k = X[:4] @ X[:4].T / 3
    q = np.outer(np.diag(k), np.diag(k)) + k**2
    expected = {
        "nngp_variance": 2 * q,
        "nngp_tangent_covariance": 3 * q,
        "tangent_between_outputs": 5 * q,
        "cross_variance": 5 * k**2,
        "tangent_variance": 5 * q + 10 * k**2,
        "nngp_bias": 0 * q,
        "tangent_bias": 0 * q,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-12, err_msg=name)


def opposite_relu(width):
    """Bias and N Var of K^3(x, -x) of relu without bias, k = 1: units with x > 0 and x < 0 share nothing.

    With B of the N units on one side, K^2(x, x) and K^2(-x, -x) are chi^2_B / N and chi^2_{N-B} / N.
    """
    b = np.arange(width + 1.0)
    probability = np.exp(
        special.gammaln(width + 1) - special.gammaln(b + 1) - special.gammaln(width - b + 1) - width * np.log(2)
    )
    safe = np.maximum(b, 1.0)
    chi = np.where(b > 0, np.sqrt(2) * np.exp(special.gammaln((safe + 1) / 2) - special.gammaln(safe / 2)), 0.0)
    root = probability @ (chi * chi[::-1]) / width  # E sqrt(K(x, x) K(-x, -x))
    product = probability @ (b * b[::-1]) / width**2
    mean = root / (2 * np.pi)
    below = product / 4 / width + (1 - 1 / width) * product / (2 * np.pi) ** 2
    return mean - 0.25 / np.pi, width * (below - mean**2)


def test_opposite_inputs_have_the_limit_of_an_exact_law():
    x = np.sqrt(3) * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    found = leading_order(MLP("relu", 2), x)
    (bias, variance), (next_bias, next_variance) = (opposite_relu(n) for n in (2_000, 4_000))
    assert found.nngp_bias[0, 1] == pytest.approx(8_000 * next_bias - 2_000 * bias, rel=1e-5)
    assert found.nngp_variance[0, 1] == pytest.approx(2 * next_variance - variance, rel=1e-5)
    assert found.tangent_bias[0, 1] == pytest.approx(found.nngp_bias[0, 1], rel=1e-12)  # phi'(z) phi'(-z) = 0
    assert found.tangent_variance[0, 1] == pytest.approx(found.nngp_variance[0, 1], rel=1e-12)


# Two inputs: the bias of the tangent kernel, sampled with the second hidden layer integrated out


def relu_second_layer(k, t, r):
    """E[Theta^3_ab] of relu without bias given the first layer: G(K) + E[phi'phi' w^T M w], w^T M w = t + H_ef r_ef."""
    a, b, c = k[..., 0, 0], k[..., 1, 1], k[..., 0, 1]
    root = np.sqrt(a * b - c * c)
    angle = np.pi - np.arctan2(root, c)
    slopes, by_c = angle / (2 * np.pi), 1 / (2 * np.pi * root)
    turned = by_c * (2 * r[..., 0, 1] - c / a * r[..., 0, 0] - c / b * r[..., 1, 1])
    return (root + c * angle) / (2 * np.pi) + slopes * (c + t) + turned


def derivative(function, at, direction):
    """The derivative of a function of three arrays along sampled directions, by central differences."""
    step = 1e-5
    up, down = (function(*(p + side * step * d for p, d in zip(at, direction, strict=True))) for side in (1, -1))
    return (up - down) / (2 * step)


@pytest.fixture(scope="module")
def sampled_tangent_bias():
    """N times the bias of Theta^3_ab of relu, mean and standard error, from means over the units of the first layer."""
    width, networks = 400, 6_000
    k1 = POINTS @ POINTS.T / 3
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky(k1)
    rows = []
    for _ in range(12):
        z = rng.standard_normal((networks // 12, width, 2)) @ root.T
        p, both = np.maximum(z, 0), (z > 0).all(axis=2)
        k = np.swapaxes(p, 1, 2) @ p / width
        t = k1[0, 1] * both.mean(axis=1)
        r = k1[0, 1] * np.swapaxes(p * both[..., None], 1, 2) @ p / width**2
        rows.append((k, t, width * r))
    k, t, scaled_r = (np.concatenate(column) for column in zip(*rows, strict=True))
    angle = np.pi - np.arccos(k1[0, 1] / np.sqrt(k1[0, 0] * k1[1, 1]))
    off = (np.sqrt(np.linalg.det(k1)) + k1[0, 1] * angle) / (2 * np.pi)
    limit = np.array([[k1[0, 0] / 2, off], [off, k1[1, 1] / 2]]), k1[0, 1] * angle / (2 * np.pi), np.zeros((2, 2))
    change = k - limit[0], t - limit[1], np.zeros_like(k)
    second = relu_second_layer(k, t, scaled_r / width) - relu_second_layer(*limit)
    u = width * (second - derivative(relu_second_layer, limit, change))
    return u.mean(), u.std() / np.sqrt(networks)


def test_the_bias_of_the_tangent_kernel_at_two_inputs(sampled_tangent_bias):
    mean, error = sampled_tangent_bias
    bias = leading_order(MLP("relu", 2), POINTS).tangent_bias[0, 1]
    assert error < 0.02 * abs(bias)
    assert abs(mean - bias) < 4 * error


@pytest.mark.parametrize("term", ["mixed", "response"])
def test_a_term_left_out_of_the_bias_of_the_tangent_kernel_is_seen(term, monkeypatch, sampled_tangent_bias):
    right = module._next_layer

    def wrong(below, units, ratio):
        return right(replace(below, **{term: 0 * getattr(below, term)}), units, ratio)

    monkeypatch.setattr(module, "_next_layer", wrong)
    mean, error = sampled_tangent_bias
    assert abs(mean - leading_order(MLP("relu", 2), POINTS).tangent_bias[0, 1]) > 8 * error


# Two inputs: sampled networks


SCALES = (1.0, 1.4, 1.3), (0.3, 0.4, 0.2)


def sampled(name, width, networks):
    """Per network: N times products of deviations of the kernels, and kernels of all layers."""
    net = MLP(name, 2, *SCALES)
    nngp, tangent = net.kernels(POINTS)
    phi, slope = lowered_activation(net.activations[0])
    shape = NetworkShape(3, (width, width), 2, *SCALES)
    products, kernels = [], []
    rng = np.random.default_rng(width)
    for _ in range(networks // 1000):
        parameters = sample_parameters(shape, 1000, rng)
        k, theta = empirical_kernels(shape, parameters, POINTS, [phi, phi], [slope, slope])
        first, second, cross = theta[..., 0, 0] - tangent, theta[..., 1, 1] - tangent, theta[..., 0, 1]
        mean = (first + second) / 2
        deviation = k - nngp
        rows = deviation**2, (first**2 + second**2) / 2, cross**2, deviation * mean, first * second
        products.append(width * np.stack(rows, axis=1)[:, :, [0, 0, 1], [0, 1, 1]])
        kernels.append(layer_kernels(shape, forward(shape, parameters, POINTS, [phi, phi]), phi))
    return np.concatenate(products), np.concatenate(kernels)


def layer_kernels(shape, preactivations, phi):
    """K^1, K^2 and K^3 of each network."""
    fed = [np.broadcast_to(POINTS.T, (len(preactivations[0]), *POINTS.T.shape)), *map(phi, preactivations[:2])]
    grams = [np.swapaxes(p, 1, 2) @ p / p.shape[1] for p in fed]
    sizes = zip(shape.sigma_w, shape.sigma_b, grams, strict=True)
    return np.stack([sigma_b**2 + sigma_w**2 * gram for sigma_w, sigma_b, gram in sizes], axis=1)


@pytest.fixture(scope="module", params=["erf", "relu"])
def samples(request):
    return request.param, {width: sampled(request.param, width, 12_000) for width in (48, 96)}


SAMPLED = ["nngp_variance", "tangent_variance", "cross_variance", "nngp_tangent_covariance", "tangent_between_outputs"]


def test_sampled_networks_have_these_coefficients_at_two_inputs(samples):
    """Extrapolated from two widths, which leaves terms of order 1/N^2."""
    name, data = samples
    (mean, error), (next_mean, next_error) = (
        (products.mean(axis=0), products.std(axis=0) / np.sqrt(len(products))) for products, _ in data.values()
    )
    found = leading_order(MLP(name, 2, *SCALES), POINTS)
    expected = np.array([getattr(found, law)[[0, 0, 1], [0, 1, 1]] for law in SAMPLED])
    spread = np.hypot(2 * next_error, error)
    scores = (2 * next_mean - mean - expected) / spread
    assert np.abs(scores).max() < 4, scores
    for n, law in enumerate(SAMPLED):  # an error of a half is seen in each law, at one pair or another
        wrong = np.abs(2 * next_mean - mean - 1.5 * expected)[n] / spread[n]
        assert wrong.max() > 5, law


def test_the_control_variate_has_the_bias_as_its_mean(samples):
    name, data = samples
    net = MLP(name, 2, *SCALES)
    variate, bias = control_variate(net, POINTS), leading_order(net, POINTS).nngp_bias[0, 1]
    for width, (_, kernels) in data.items():
        u = width * variate(kernels)[:, 0, 1]
        plain = width * (kernels[:, -1] - net.nngp(POINTS))[:, 0, 1]
        error = u.std() / np.sqrt(len(u))
        assert error < 0.06 * abs(bias)
        assert abs(u.mean() - bias) < 4 * error + 6 * abs(bias) / width
        assert abs(plain.mean() - u.mean()) < 4 * plain.std() / np.sqrt(len(u))
        assert u.std() < plain.std() / 10


# The control variate


def test_the_control_variate_is_exact_for_any_maps(samples):
    """Its mean does not depend on the maps J: with wrong ones it only scatters more."""
    name, data = samples
    variate = control_variate(MLP(name, 2, *SCALES), POINTS)
    kernels = data[48][1]
    right, wrong = variate(kernels), replace(variate, maps=0.9 * variate.maps)(kernels)
    difference = (right - wrong)[:, 0, 1]
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(kernels))
    assert wrong[:, 0, 1].std() > 1.1 * right[:, 0, 1].std()


@pytest.mark.parametrize("name", ["relu", "erf", "hard-tanh"])
def test_the_maps_are_derivatives_of_the_recursion(name):
    net = MLP(name, 2, *SCALES)
    variate = control_variate(net, X)
    np.testing.assert_allclose(variate.limits[-1], net.nngp(X), rtol=1e-12)
    k = variate.limits[1]
    a, b, c = k[0, 0], k[1, 1], k[0, 1]
    slopes = lowered_dual(net.activations[1]).derivative(a, b, c, a * b - c * c)
    assert 2 * variate.maps[1, 1, 0, 1] == pytest.approx(SCALES[0][2] ** 2 * float(slopes), rel=1e-12)  # Price
    np.testing.assert_array_equal(variate.maps[0, 0, 0, 1], variate.maps[0, 2, 1, 0])


def test_samples_that_do_not_fit_are_refused():
    variate = control_variate(MLP("relu", 2), X[:2])
    with pytest.raises(ValueError, match=r"expected sampled kernels of shape \(n_networks, 3, 2, 2\), got \(4, 2, 2\)"):
        variate(np.ones((4, 2, 2)))
    with pytest.raises(ValueError, match="K\\^1 of the samples is not that of these inputs"):
        variate(np.ones((4, 3, 2, 2)))


# Degenerate inputs


def test_duplicates_have_the_coefficients_of_one_input():
    for name in ("relu", "tanh", "hard-tanh"):
        found = leading_order(deep(name), X[[0, 1, 2]])
        for law in NAMES:
            value = getattr(found, law)
            np.testing.assert_allclose(value[0, 2], value[0, 0], rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(value[0, 1], value[2, 1], rtol=1e-11, atol=1e-12)


def test_nearly_parallel_inputs_keep_their_digits():
    x = np.array([X[0], X[0] * (1 + 1e-9), X[0] + [0.0, 0.0, 1e-6]])
    found = leading_order(deep("tanh"), x)
    for law in NAMES:
        value = getattr(found, law)
        np.testing.assert_allclose(value[0, 1], value[0, 0], rtol=1e-7)
        np.testing.assert_allclose(value[0, 2], value[0, 0], rtol=1e-5)
        np.testing.assert_allclose(value, value.T, rtol=0)


def test_odd_networks_without_bias_are_odd():
    found = leading_order(MLP("erf", 3, 1.5), X[[0, 1, 3]])
    for law in NAMES:
        value, sign = getattr(found, law), -1 if law in LAW_OF else 1
        np.testing.assert_allclose(value[2, 2], value[0, 0], rtol=1e-12)
        np.testing.assert_allclose(value[0, 2], sign * value[0, 0], rtol=1e-12)
        np.testing.assert_allclose(value[1, 2], sign * value[1, 0], rtol=1e-10)


def test_relu_networks_without_bias_are_homogeneous():
    x = np.array([X[0], 3 * X[0], X[1], 3 * X[1]])
    found = leading_order(MLP("relu", 3, 1.4), x)
    for law in NAMES:
        value, factor = getattr(found, law), 3 if law in LAW_OF else 9
        np.testing.assert_allclose(value[0, 1], factor * value[0, 0], rtol=1e-12, atol=1e-11)
        np.testing.assert_allclose(value[0, 3], factor * value[0, 2], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["sigmoid", "cos", "tanh", "relu"])
def test_a_zero_input_without_bias_is_the_limit_of_small_ones(name):
    x = np.array([np.zeros(3), 1e-7 * X[1], X[0]])
    found = leading_order(MLP(name, 3, 1.3), x)
    for law in NAMES:
        value = getattr(found, law)
        scale = max(np.abs(value).max(), 1.0)
        np.testing.assert_allclose(value[0, 0], value[1, 1], atol=1e-5 * scale)
        np.testing.assert_allclose(value[0, 2], value[1, 2], atol=1e-5 * scale)


def test_the_order_of_the_inputs_does_not_matter():
    found, turned = (leading_order(deep("silu"), x) for x in (X[:2], X[1::-1]))
    for law in NAMES:
        np.testing.assert_allclose(getattr(found, law), getattr(turned, law)[::-1, ::-1], rtol=1e-10)


# Refusals


@pytest.mark.parametrize("ratios", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, np.nan)])
def test_ratios_that_do_not_fit_are_refused(ratios):
    with pytest.raises(ValueError, match="ratios must be 2 positive numbers, one per hidden layer, got"):
        leading_order(MLP("relu", 2), X, ratios)


def test_what_has_no_leading_order_is_refused():
    with pytest.raises(TypeError, match="expected an activation, got the kernel"):
        leading_order(MLP(kernel_dual("c"), 1), X)
    with pytest.raises(ValueError, match="laws at finite width are those of the derived recursion, got a changed one"):
        leading_order(MLP("relu", 1).with_recursion(), X)
    with pytest.raises(ValueError, match=r"expected E\[phi\(u\)\^4\] to be finite, exp at variance"):
        leading_order(MLP("exp", 1), 40 * X)
