"""Laws of trained ensembles against integrated moments, matrix exponentials, steps, weights and scikit-learn."""

from __future__ import annotations

import functools

import mpmath
import numpy as np
import pytest
from flint import arb, arb_mat
from scipy import integrate, linalg
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct
from sklearn.kernel_ridge import KernelRidge

from derive.duals.evaluation import precision
from derive.lecture import CLAIMS, trained_ensembles
from numeric import MLP, lower, trained
from numeric.linearized import evaluate
from numeric.regression import IllConditioned, Prediction, resolution
from numeric.special import compound
from numeric.trained import Spectrum, ensemble, schedule

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.2, 2.1, 0.9], [0.05, 0.0, -0.1], [-1.2, -0.3, 0.4]])
TEST = np.array([[1.0, 1.0, -2.0], [0.3, 0.1, 0.2], [-0.4, 0.9, 0.8]])
Y = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75], [0.4, 0.1], [-0.9, 1.3]])
REPEATED, CONTRADICTORY = np.vstack([X, X[1:2], X[1:2]]), np.vstack([Y, [[3.0, 1.0]], [[-1.0, 0.5]]])
NET = MLP("erf", 2, 1.5, 0.3)
RATE = 0.7
TIMES = np.array([0.4, 2.3])
N_TEST = len(TEST)


def joint_kernels(net, x):
    return net.kernels(np.vstack([TEST, x]))


def generator(tangent, rate):
    """The rate of change of the outputs at test and training points is this matrix times (outputs - targets)."""
    on_training_points = np.hstack([np.zeros((len(tangent), N_TEST)), np.ones((len(tangent), len(tangent) - N_TEST))])
    return -rate * tangent * on_training_points


def padded(y):
    return np.vstack([np.zeros((N_TEST, y.shape[1])), y])


# Routes. Each returns mean and covariance of all outputs, and knows neither a spectrum nor a solution of the flow.


def by_integrating_moments(kernel, tangent, y, rate, time):
    """Integrate d/dt m = A (m - Y), d/dt C = A C + C A^T."""
    A, target = generator(tangent, rate), padded(y)
    size, outputs = target.shape

    def change(_, state):
        mean, covariance = state[: target.size].reshape(target.shape), state[target.size :].reshape(size, size)
        return np.concatenate([(A @ (mean - target)).ravel(), (A @ covariance + covariance @ A.T).ravel()])

    start = np.concatenate([np.zeros(target.size), kernel.ravel()])
    end = integrate.solve_ivp(change, (0, time), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    return end[: target.size].reshape(size, outputs), end[target.size :].reshape(size, size)


def by_matrix_exponential(kernel, tangent, y, rate, time):
    """Exponentiate the affine map that A is, with the targets as further coordinates."""
    A, target = generator(tangent, rate), padded(y)
    size, outputs = target.shape
    affine = np.block([[A, -A @ target], [np.zeros((outputs, size + outputs))]])
    propagator = linalg.expm(time * affine)
    return propagator[:size, size:], propagator[:size, :size] @ kernel @ propagator[:size, :size].T


def by_steps(kernel, tangent, y, rate, count):
    """Take steps of gradient descent, one by one."""
    A, target = generator(tangent, rate), padded(y)
    mean, covariance, step = np.zeros_like(target), kernel, np.eye(len(kernel)) + A
    for _ in range(int(count)):
        mean, covariance = mean + A @ (mean - target), step @ covariance @ step.T
    return mean, covariance


ROUTES = (by_integrating_moments, by_matrix_exponential)


@functools.cache
def expected(route, net, last_layer_only, repeated):
    x, y = (REPEATED, CONTRADICTORY) if repeated else (X, Y)
    kernel, tangent = joint_kernels(net, x)
    pairs = (route(kernel, kernel if last_layer_only else tangent, y, RATE, time) for time in TIMES)
    return [(mean[:N_TEST], covariance[:N_TEST, :N_TEST]) for mean, covariance in pairs]


def refuting(predict, last_layer_only=False, repeated=False, net=NET, tolerance=1e-9):
    """Names of the routes that do not agree with a law of a trained ensemble."""
    x, y = (REPEATED, CONTRADICTORY) if repeated else (X, Y)
    given = predict(net, x, y, TEST, TIMES, RATE, last_layer_only=last_layer_only)
    found = set()
    for route in ROUTES:
        for n, (mean, covariance) in enumerate(expected(route, net, last_layer_only, repeated)):
            if not (
                np.max(np.abs(given.mean[n] - mean)) < tolerance
                and np.max(np.abs(given.covariance[n] - covariance)) < tolerance
            ):
                found.add(route.__name__)
    return sorted(found)


BOTH = sorted(route.__name__ for route in ROUTES)


@pytest.mark.parametrize("repeated", [False, True], ids=["distinct", "contradictory"])
@pytest.mark.parametrize("last_layer_only", [False, True], ids=["all layers", "last layer"])
@pytest.mark.parametrize("net", [NET, MLP("relu", 3, 1.4, 0.1)], ids=["erf", "relu"])
def test_both_routes_confirm_the_law(net, last_layer_only, repeated):
    assert refuting(MLP.trained, last_layer_only, repeated, net, tolerance=2e-11) == []


# Planted errors


KNOWN = [m for m in CLAIMS["eq73"].mutants() if "K stands" not in m.name]
"""Wrong variants in letters that the prediction of real networks knows: K(x,X) is none of them."""


@pytest.mark.parametrize("mutant", KNOWN, ids=lambda mutant: mutant.name)
def test_both_routes_refute_each_mutant_of_equation_73(mutant, monkeypatch):
    functions = {
        tuple(name.replace("Theta(", "Theta_inf(") for name in word): value
        for word, value in lower.spectral_functions(mutant.statement).items()
    }
    monkeypatch.setattr(trained, "prediction", lambda steps: (functions, functions))
    assert refuting(MLP.trained) == BOTH


def typed(gain=1.0, first=1.0, second=1.0, last=1.0, exchanged=False, transposed=False):
    """The law in four terms, as it is written in papers, or wrong; the signs are those of the terms."""

    def predict(net, x, y, tested, times, rate, last_layer_only):
        kernel, tangent = joint_kernels(net, x)
        test, train = slice(None, N_TEST), slice(N_TEST, None)
        A, laws = generator(tangent, rate)[train, train], []
        for time in times:
            decay = linalg.expm(time * A)
            g = np.linalg.solve(tangent[train, train], np.eye(len(x)) - decay)
            if exchanged:  # the factors of the correction in another order, which fits too
                G = tangent[test, train] @ kernel[train, train] @ g @ np.linalg.inv(kernel[train, train])
            else:
                G = tangent[test, train] @ g
            cross = G @ kernel[train, test]
            other = cross if transposed else cross.T
            square = G @ kernel[train, train] @ G.T
            laws.append((gain * G @ y, kernel[test, test] - first * cross - second * other + last * square))
        return Prediction(*map(np.array, zip(*laws, strict=True)))

    return predict


def test_both_routes_confirm_the_four_terms():
    assert refuting(typed()) == []


WRONG = {
    "the sign of the mean": typed(gain=-1),
    "the sign of the correction": typed(first=-1, second=-1),
    "the sign of the last term": typed(last=-1),
    "a cross term is missing": typed(second=0),
    "one cross term doubled": typed(first=2, second=0),
    "a cross term is not transposed": typed(transposed=True),
    "the last term is missing": typed(last=0),
    "the order of the factors": typed(exchanged=True),
}


@pytest.mark.parametrize("name", WRONG)
def test_both_routes_refute_wrong_terms(name):
    assert refuting(WRONG[name]) == BOTH


@pytest.mark.parametrize("name", ["one cross term doubled", "a cross term is not transposed"])
def test_that_error_is_invisible_at_single_test_points(name):
    given = WRONG[name](NET, X, Y, TEST, TIMES, RATE, last_layer_only=False)
    for n, (_, covariance) in enumerate(expected(by_matrix_exponential, NET, False, False)):
        np.testing.assert_allclose(np.diag(given.covariance[n]), np.diag(covariance), atol=1e-10)
        assert np.max(np.abs(given.covariance[n] - covariance)) > 1e-3


@pytest.mark.parametrize("slot", ["training points", "test points", "both", "prior"])
def test_both_routes_refute_a_kernel_in_the_wrong_slot(slot):
    def predict(net, x, y, tested, times, rate, last_layer_only):
        kernel, tangent = joint_kernels(net, x)
        known = (kernel if slot in ("training points", "both") else tangent)[N_TEST:, N_TEST:]
        between = (kernel if slot in ("test points", "both") else tangent)[:N_TEST, N_TEST:]
        prior = tangent if slot == "prior" else kernel
        return ensemble(Spectrum.of(known), schedule(times, None, rate), between, y, prior)

    assert refuting(predict) == BOTH


def test_both_routes_refute_all_layers_for_the_last():
    def predict(*arguments, last_layer_only):
        return MLP.trained(*arguments, last_layer_only=not last_layer_only)

    assert refuting(predict) == refuting(predict, last_layer_only=True) == BOTH


@pytest.mark.parametrize("repeated", [False, True], ids=["distinct", "contradictory"])
@pytest.mark.parametrize("steps", [False, True], ids=["flow", "descent"])
def test_the_derived_mean_and_covariance_are_what_the_ensemble_has(steps, repeated):
    x, y = (REPEATED, CONTRADICTORY) if repeated else (X, Y)
    other = TEST[:2] + 0.3
    by = trained_ensembles.DESCENT_LIMIT if steps else trained_ensembles.FLOW_LIMIT
    eigenvalues, vectors = np.linalg.eigh(NET.ntk(x))
    jacobian = vectors * np.sqrt(np.maximum(eigenvalues, 0))
    places = {"x": TEST, "X": x, "x'": other}
    letters = {f"K({a},{b})": NET.nngp(places[a], places[b]) for a in places for b in places}
    letters |= {f"Theta_inf({a},{b})": NET.ntk(places[a], places[b]) for a in places for b in places} | {"Y": y}
    rate, time = 0.05, 7
    found = NET.trained(x, y, np.vstack([TEST, other]), learning_rate=rate, **{"steps" if steps else "t": time})
    mean = evaluate(trained_ensembles.mean_output(by).rhs, jacobian, letters, rate, time)
    covariance = evaluate(trained_ensembles.output_covariance(by).rhs, jacobian, letters, rate, time)
    np.testing.assert_allclose(found.mean[:3], mean, atol=1e-12)
    np.testing.assert_allclose(found.covariance[:3, 3:], covariance, atol=1e-12)


# Gradient descent


@pytest.mark.parametrize("repeated", [False, True], ids=["distinct", "contradictory"])
@pytest.mark.parametrize("fraction", [0.1, 0.95])
def test_gradient_descent_is_its_steps(fraction, repeated):
    x, y = (REPEATED, CONTRADICTORY) if repeated else (X, Y)
    kernel, tangent = joint_kernels(NET, x)
    rate = fraction * 2 / np.linalg.eigvalsh(tangent[N_TEST:, N_TEST:])[-1]
    counts = [0, 1, 2, 7, 200]
    found = NET.trained(x, y, TEST, learning_rate=rate, steps=counts)
    flow = NET.trained(x, y, TEST, counts, rate)
    for n, count in enumerate(counts):
        mean, covariance = by_steps(kernel, tangent, y, rate, count)
        np.testing.assert_allclose(found.mean[n], mean[:N_TEST], atol=1e-12)
        np.testing.assert_allclose(found.covariance[n], covariance[:N_TEST, :N_TEST], atol=1e-12)
        for route in ROUTES if count in (1, 7) else ():  # the flow is something else
            wrong = route(kernel, tangent, y, rate, count)[0][:N_TEST]
            np.testing.assert_allclose(flow.mean[n], wrong, atol=1e-9)
            assert np.max(np.abs(found.mean[n] - wrong)) > 1e-3


def test_small_steps_follow_the_flow_to_first_order():
    flow = NET.trained(X, Y, TEST, 2.0)
    errors = [
        np.max(np.abs(NET.trained(X, Y, TEST, learning_rate=2.0 / n, steps=n).covariance - flow.covariance))
        for n in (1000, 2000)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.02)


def test_descent_and_flow_end_alike():
    flow, descent = NET.trained(X, Y, TEST), NET.trained(X, Y, TEST, learning_rate=0.1, steps=np.inf)
    np.testing.assert_allclose(descent.mean, flow.mean, atol=1e-12)
    np.testing.assert_allclose(descent.covariance, flow.covariance, atol=1e-13)


def test_a_step_that_diverges_is_refused_and_the_largest_is_named():
    largest = 2 / np.linalg.eigvalsh(NET.ntk(X))[-1]
    with pytest.raises(ValueError, match=rf"below 2 / lambda_max = {largest:.6g} .* got 3: the outputs would diverge"):
        NET.trained(X, Y, TEST, learning_rate=3.0, steps=10)
    with pytest.raises(ValueError, match="would diverge"):
        NET.trained(X, Y, TEST, learning_rate=1.0001 * largest, steps=10)
    allowed = NET.trained(X, Y, TEST, learning_rate=0.9999 * largest, steps=10**6)
    np.testing.assert_allclose(allowed.mean, NET.trained(X, Y, TEST).mean, atol=1e-9)
    NET.trained(X, Y, TEST, learning_rate=3.0)  # the flow has no largest rate


def test_powers_less_one_keep_their_digits():
    rates = [-1e-18, -1e-9, -0.2, -0.49999, -0.5, -0.9, -1.0, -1.3, -1.999]
    for periods in (0, 1, 2, 9, 1000):
        with mpmath.workdps(40):
            exact = [float((1 + mpmath.mpf(rate)) ** periods - 1) for rate in rates]
        np.testing.assert_allclose(compound(rates, periods), exact, rtol=2e-14, atol=1e-15)
        np.testing.assert_allclose(compound(rates[:3], periods), exact[:3], rtol=1e-15)
    np.testing.assert_array_equal(compound(rates[1:], np.inf), -1)


# Limits


def test_training_starts_at_the_prior_and_ends_at_the_targets():
    start = NET.trained(X, Y, TEST, 0.0)
    np.testing.assert_array_equal(start.mean, 0)
    np.testing.assert_allclose(start.covariance, NET.nngp(TEST), atol=1e-14)
    end = NET.trained(X, Y, X)
    np.testing.assert_allclose(end.mean, Y, atol=1e-12)
    np.testing.assert_allclose(end.covariance, 0, atol=1e-13)


def test_the_last_layer_trained_is_the_posterior_and_all_layers_are_not():
    last, all_layers = NET.trained(X, Y, TEST, last_layer_only=True), NET.trained(X, Y, TEST)
    exact = NET.posterior(X, Y, TEST)
    np.testing.assert_allclose(last.mean, exact.mean, atol=1e-12)
    np.testing.assert_allclose(last.covariance, exact.covariance, atol=1e-13)
    assert np.max(np.abs(all_layers.covariance - exact.covariance)) > 1e-2
    assert np.max(np.abs(all_layers.mean - exact.mean)) > 1e-2


def test_the_end_is_regression_by_scikit_learn():
    ridgeless = KernelRidge(kernel="precomputed", alpha=0.0).fit(NET.ntk(X), Y)
    np.testing.assert_allclose(NET.trained(X, Y, TEST).mean, ridgeless.predict(NET.ntk(TEST, X)), atol=1e-12)
    linear = ConstantKernel(1.5**2 / 3) * DotProduct(0.3 * np.sqrt(3) / 1.5)  # K^1, in words of scikit-learn
    model = GaussianProcessRegressor(linear, alpha=0.0, optimizer=None).fit(X[:3], Y[:3, 0])
    mean, covariance = model.predict(TEST, return_cov=True)
    found = MLP(hidden_layers=0, sigma_w=1.5, sigma_b=0.3).trained(X[:3], Y[:3, 0], TEST)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)


@pytest.mark.parametrize("time", [0.0, 0.8, 30.0, np.inf])
def test_a_linear_model_is_trained_in_its_weights(time):
    """Five points and repeated ones in four dimensions: Theta has rank 4 of 7; weights have no such trouble."""

    def features(x):
        return np.hstack([1.5 / np.sqrt(3) * x, np.full((len(x), 1), 0.3)])

    F, tested = features(REPEATED), features(TEST)
    decay = linalg.expm(-RATE * time * F.T @ F) if np.isfinite(time) else np.zeros((4, 4))
    weights = np.linalg.solve(F.T @ F, (np.eye(4) - decay) @ F.T @ CONTRADICTORY)
    found = MLP(hidden_layers=0, sigma_w=1.5, sigma_b=0.3).trained(REPEATED, CONTRADICTORY, TEST, time, RATE)
    np.testing.assert_allclose(found.mean, tested @ weights, atol=1e-12)
    np.testing.assert_allclose(found.covariance, tested @ decay @ decay @ tested.T, atol=1e-13)


@pytest.mark.parametrize("time", [1e6, 1e11, 1e18, np.inf])
def test_repeated_inputs_end_at_the_mean_of_their_targets(time):
    merged = Y.copy()
    merged[1] = CONTRADICTORY[[1, 5, 6]].mean(axis=0)
    found, end = NET.trained(REPEATED, CONTRADICTORY, TEST, time), NET.trained(X, merged, TEST)
    np.testing.assert_allclose(found.mean, end.mean, atol=1e-8)
    np.testing.assert_allclose(found.covariance, end.covariance, atol=1e-8)
    if time != 1e6:  # what rounding leaves of the null space has been left out
        np.testing.assert_allclose(found.mean, end.mean, atol=1e-11)


def test_consistent_repetition_weighs_on_the_way_and_not_at_the_end():
    again, targets = np.vstack([X, X[:1]]), np.vstack([Y, Y[:1]])
    once, twice = (NET.trained(x, y, TEST, [1.0, np.inf]) for x, y in ((X, Y), (again, targets)))
    assert np.max(np.abs(once.mean[0] - twice.mean[0])) > 1e-3
    np.testing.assert_allclose(twice.mean[1], once.mean[1], atol=1e-11)
    np.testing.assert_allclose(twice.covariance[1], once.covariance[1], atol=1e-12)


# Shapes and laws


def test_axes_are_those_of_times_and_targets():
    many = NET.trained(X, Y, TEST, [2.0, np.inf, 0.5])
    assert many.mean.shape == (3, 3, 2)
    assert many.covariance.shape == (3, 3, 3)
    one = NET.trained(X, Y[:, 1], TEST, 0.5)
    assert one.mean.shape == (3,)
    assert one.covariance.shape == (3, 3)
    np.testing.assert_allclose(one.mean, many.mean[2, :, 1], atol=1e-15)
    np.testing.assert_allclose(one.covariance, many.covariance[2], atol=1e-15)
    single = NET.trained(X[:1], Y[:1], TEST[:1], [1.0], covariance=False)
    assert single.mean.shape == (1, 1, 2)
    assert single.covariance is None


def test_the_mean_does_not_need_the_covariance():
    np.testing.assert_array_equal(
        NET.trained(X, Y, TEST, TIMES, covariance=False).mean, NET.trained(X, Y, TEST, TIMES).mean
    )


def test_covariances_are_symmetric_and_have_no_negative_variance():
    where = np.vstack([X, TEST, X + 1e-9])
    for last_layer_only in (False, True):
        for covariance in NET.trained(
            X, Y, where, [0.0, 1e-3, 1.0, np.inf], last_layer_only=last_layer_only
        ).covariance:
            np.testing.assert_array_equal(covariance, covariance.T)
            assert np.min(np.diag(covariance)) >= 0
            assert np.linalg.eigvalsh(covariance)[0] > -1e-14


def test_the_order_of_the_points_and_the_unit_of_time_do_not_matter():
    order = [3, 0, 4, 1, 2]
    found, other = NET.trained(X, Y, TEST, TIMES), NET.trained(X[order], Y[order], TEST[::-1], TIMES / 5, 5.0)
    np.testing.assert_allclose(other.mean[:, ::-1], found.mean, atol=1e-13)
    np.testing.assert_allclose(other.covariance[:, ::-1, ::-1], found.covariance, atol=1e-13)


def test_a_constant_network_learns_nothing():
    for options in ({"t": [0.0, 1.0, np.inf]}, {"steps": [0, 3, np.inf]}):
        found = MLP("relu", 1, 0.0).trained(X, Y, TEST, **options)
        np.testing.assert_array_equal(found.mean, 0)
        np.testing.assert_array_equal(found.covariance, 0)


# Digits

ANGLES = np.linspace(0, 1, 30)[:, None] ** 1.2
CROWDED = np.hstack([np.cos(ANGLES), 1.3 * np.sin(ANGLES)])
"""Points on a short arc: a third of the eigenvalues of K is below its rounding errors."""
JAGGED = np.hstack([np.sin(5 * ANGLES), np.sign(ANGLES - 0.4)])
BESIDE = np.array([[0.7, 0.8], [1.1, -0.2]])
FLOW, DESCENT = {"rate": 1.0, "steps": False}, {"rate": 0.02, "steps": True}


@functools.cache
def in_balls(time, rate, steps):
    """Mean and covariance with the last layer trained, the kernels of float64 taken for exact, to 150 digits."""
    kernel = NET.nngp(np.vstack([BESIDE, CROWDED]))
    kernel = np.tril(kernel) + np.tril(kernel, -1).T
    size = len(kernel)
    with precision(500):
        A, joint = arb_mat(size, size), arb_mat(kernel.tolist())
        for i in range(size):
            for j in range(len(BESIDE), size):
                A[i, j] = -arb(rate) * kernel[i, j]
        target = arb_mat(np.vstack([np.zeros((len(BESIDE), 2)), JAGGED]).tolist())
        drift, affine = A * target, arb_mat(size + 2, size + 2)
        for i in range(size):
            for j in range(size + 2):
                affine[i, j] = A[i, j] if j < size else -drift[i, j - size]
        one = arb_mat(np.eye(size + 2).tolist())
        whole = (one + affine) ** int(time) if steps else (affine * arb(time)).exp()
        rows = range(len(BESIDE))
        G = arb_mat([[whole[i, j] for j in range(size)] for i in rows])
        covariance = G * joint * G.transpose()
        return (
            np.array([[float(whole[i, size + k]) for k in range(2)] for i in rows]),
            np.array([[float(covariance[i, j]) for j in rows] for i in rows]),
        )


def error_and_rounding(time, rate, steps):
    """The error of the law of an ensemble, and what rounding errors of Theta that act for so long can do."""
    when = {"steps": time} if steps else {"t": time}
    found = NET.trained(CROWDED, JAGGED, BESIDE, learning_rate=rate, last_layer_only=True, **when)
    mean, covariance = in_balls(time, rate, steps)
    error = max(np.max(np.abs(found.mean - mean)), np.max(np.abs(found.covariance - covariance)))
    return error, resolution(np.linalg.eigvalsh(NET.nngp(CROWDED))) * rate * time + 1e-14


CASES = [(0.3, FLOW), (20, FLOW), (1e3, FLOW), (1e6, FLOW), (1, DESCENT), (20, DESCENT), (1000, DESCENT)]


@pytest.mark.parametrize(("time", "kind"), CASES)
def test_an_ill_conditioned_kernel_costs_digits_only_as_time_goes_on(time, kind):
    error, rounding = error_and_rounding(time, **kind)
    assert error < rounding


@pytest.mark.parametrize(("time", "kind"), [(0.3, FLOW), (1, DESCENT), (20, DESCENT), (1000, DESCENT)])
def test_functions_that_cancel_are_caught(time, kind, monkeypatch):
    monkeypatch.setattr(lower, "_without_cancellation", lambda function: function)
    monkeypatch.setattr(trained, "spectral_functions", lower.spectral_functions.__wrapped__)
    monkeypatch.setattr(trained, "prediction", trained.prediction.__wrapped__)
    error, rounding = error_and_rounding(time, **kind)
    assert error > 3 * rounding


@pytest.mark.parametrize(("time", "kind"), CASES)
def test_small_eigenvalues_that_are_left_out_are_caught(time, kind, monkeypatch):
    monkeypatch.setattr(trained, "smallest_on_range", lambda eigenvalues, _: eigenvalues[-1])
    error, rounding = error_and_rounding(time, **kind)
    assert error > 3 * rounding


def test_later_the_warning_tells_what_is_left():
    with pytest.warns(
        IllConditioned, match=r"Theta\(X, X\) up to the last time .*: as few as 5 of 16 digits may be left"
    ):
        found = NET.trained(CROWDED, JAGGED, BESIDE, [1.0, 3e8], last_layer_only=True)
    mean, covariance = in_balls(3e8, **FLOW)
    np.testing.assert_allclose(found.mean[1], mean, atol=1e-5 * np.max(np.abs(mean)))
    np.testing.assert_allclose(found.covariance[1], covariance, atol=1e-5)
    with pytest.warns(IllConditioned, match=r"as few as [01] of 16 digits may be left; train less long, or remove"):
        NET.trained(CROWDED, JAGGED, BESIDE, last_layer_only=True)


def test_inputs_that_are_nearly_equal_are_not_taken_for_repeated_in_silence():
    near, targets = np.vstack([X, X[:1] + 1e-9]), np.vstack([Y, -Y[:1]])
    early, repeated = (NET.trained(x, targets, TEST, 1.0) for x in (near, np.vstack([X, X[:1]])))
    np.testing.assert_allclose(early.mean, repeated.mean, atol=1e-7)
    with pytest.warns(IllConditioned, match=r"as few as [01] of 16 digits"):
        NET.trained(near, targets, TEST)
    with pytest.warns(IllConditioned, match=r"as few as [01] of 16 digits"):
        NET.posterior(near, targets, TEST)


# Errors of users

INVALID = [
    ((X, Y[:4], TEST), {}, r"targets must have shape \(5,\) or \(5, n_outputs\), one per input, got \(4, 2\)"),
    ((X, np.where(Y == 2.0, np.nan, Y), TEST), {}, "targets must be finite, got NaN or infinity in row 1"),
    ((X, Y, TEST[:, :2]), {}, "x_train and x_test must have one dimension, got 3 and 2"),
    ((X + np.inf, Y, TEST), {}, "inputs must be finite"),
    ((X, Y, TEST, -1.0), {}, "t must be >= 0, got -1.0"),
    ((X, Y, TEST, [1.0, np.nan]), {}, "t must be >= 0, got nan"),
    ((X, Y, TEST, [[1.0]]), {}, r"t must be a number or a sequence of them, got shape \(1, 1\)"),
    ((X, Y, TEST, []), {}, r"t must be a number or a sequence of them, got shape \(0,\)"),
    ((X, Y, TEST, 1.0, 0.0), {}, "learning_rate must be a finite number > 0, got 0.0"),
    ((X, Y, TEST, 1.0, np.inf), {}, "learning_rate must be a finite number > 0, got inf"),
    ((X, Y, TEST), {"steps": [3, -1]}, "steps must be >= 0, got -1.0"),
    ((X, Y, TEST), {"steps": 2.5}, "steps must be integers, got 2.5; t takes times"),
    ((X, Y, TEST, 1.0), {"steps": 2}, "expected t .* or steps .*, got both; leave one out"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), INVALID)
def test_what_does_not_fit_is_refused_before_any_work(arguments, options, message, monkeypatch):
    monkeypatch.setattr(MLP, "kernels", lambda *_: pytest.fail("a kernel was computed"))
    with pytest.raises(ValueError, match=message):
        NET.trained(*arguments, **options)


def test_an_unknown_word_of_the_prediction_is_not_ignored(monkeypatch):
    functions = lower.spectral_functions(CLAIMS["eq72"].proven().rhs)
    monkeypatch.setattr(trained, "prediction", lambda steps: (functions, functions))
    with pytest.raises(TypeError, match=r"a word that is not known here: J\^T Y"):
        NET.trained(X, Y, TEST)
