"""GP regression and ridge: against scikit-learn, the precision matrix of the joint law, and 60 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Kernel
from sklearn.kernel_ridge import KernelRidge

from numeric import MLP
from numeric.regression import IllConditioned, Prediction, posterior, ridge

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.2, 2.1, 0.9], [0.05, 0.0, -0.1], [-1.2, -0.3, 0.4]])
TEST = np.array([[1.0, 1.0, -2.0], [0.3, 0.1, 0.2], [-0.4, 0.9, 0.8]])
Y = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75], [0.4, 0.1], [-0.9, 1.3]])
NOISE = 0.3
NET = MLP("erf", 2, 1.5, 0.3)


class Network(Kernel):
    """The NNGP kernel as one of scikit-learn, which regresses with it on its own."""

    def __init__(self, net):
        self.net = net

    def __call__(self, X, Y=None, eval_gradient=False):
        return self.net.nngp(X, Y).copy()  # scikit-learn adds the noise in place

    def diag(self, X):
        return np.diag(self.net.nngp(X))

    def is_stationary(self):
        return False


def matrices(kernel, x=X, tested=TEST):
    return kernel(tested), kernel(tested, x), kernel(x)


def of_scikit_learn(kernel, noise, x=X):
    """Mean, and covariance of each output."""
    model = GaussianProcessRegressor(kernel, alpha=noise**2, optimizer=None).fit(x, Y)
    mean, covariance = model.predict(TEST, return_cov=True)
    return mean, covariance[:, :, 0]


def of_the_precision(kernel, noise):
    """Mean and covariance by the inverse of the joint covariance of f(x) and y: its blocks are conditional laws."""
    prior, between, known = matrices(kernel)
    precision = np.linalg.inv(np.block([[prior, between], [between.T, known + noise**2 * np.eye(len(X))]]))
    covariance = np.linalg.inv(precision[: len(TEST), : len(TEST)])
    return -covariance @ precision[: len(TEST), len(TEST) :] @ Y, covariance


def refuting(predict):
    """Names of the routes that do not agree with a regression."""
    found = set()
    for kernel in (RBF(1.3), Network(NET)):
        given = predict(*matrices(kernel), Y, NOISE)
        for route in (of_scikit_learn, of_the_precision):
            mean, covariance = route(kernel, NOISE)
            if np.max(np.abs(given.mean - mean)) > 1e-11 or np.max(np.abs(given.covariance - covariance)) > 1e-11:
                found.add(route.__name__)
    return sorted(found)


def typed(known_noise=lambda s: s**2, between_noise=0.0, test_noise=0.0, sign=-1, transposed=False):
    """The posterior as it is written in books, or wrong."""

    def predict(prior, between, known, y, noise):
        shifted = known + known_noise(noise) * np.eye(len(known))
        gain = (between + between_noise * np.ones_like(between)) @ np.linalg.inv(shifted)
        covariance = prior + sign * gain @ between.T + test_noise * np.eye(len(prior))
        return Prediction(gain @ (np.flip(y, 0) if transposed else y), covariance)

    return predict


WRONG = {
    "the standard deviation for the variance of the noise": typed(known_noise=lambda s: s),
    "no noise": typed(known_noise=lambda s: 0.0),
    "half of the noise": typed(known_noise=lambda s: s**2 / 2),
    "noise between test and training points": typed(between_noise=NOISE**2),
    "the law of a noisy target": typed(test_noise=NOISE**2),
    "the sign of the correction": typed(sign=1),
    "half of the correction": typed(sign=-0.5),
    "targets in another order": typed(transposed=True),
}


def test_both_routes_confirm_the_posterior():
    assert refuting(posterior) == []
    assert refuting(typed()) == []


@pytest.mark.parametrize("name", WRONG)
def test_both_routes_refute_a_wrong_posterior(name):
    assert refuting(WRONG[name]) == ["of_scikit_learn", "of_the_precision"]


@pytest.mark.parametrize("noise", [0.0, 0.1, 3.0])
def test_a_network_regresses_like_scikit_learn_with_its_kernel(noise):
    found = NET.posterior(X, Y, TEST, noise)
    mean, covariance = of_scikit_learn(Network(NET), noise)
    np.testing.assert_allclose(found.mean, mean, atol=1e-11)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)


def test_the_mean_is_kernel_ridge_regression():
    _, between, known = matrices(NET.nngp)
    model = KernelRidge(kernel="precomputed", alpha=NOISE**2).fit(known, Y)
    np.testing.assert_allclose(posterior(None, between, known, Y, NOISE).mean, model.predict(between), atol=1e-12)
    assert posterior(None, between, known, Y, NOISE).covariance is None
    assert NET.posterior(X, Y, TEST, NOISE, covariance=False).covariance is None


@pytest.mark.parametrize(("width", "noise"), [(4, 0.3), (4, 1e-3), (9, 0.3), (9, 0.0)])
def test_weights_of_features_predict_what_their_kernel_predicts(width, noise):
    features, tested = np.cos(np.outer(X[:, 0] + 2 * X[:, 1], np.arange(width))), TEST @ np.ones((3, width)) / 2
    weights = ridge(features, Y, noise)
    dual = posterior(None, tested @ features.T, features @ features.T, Y, noise)
    np.testing.assert_allclose(tested @ weights, dual.mean, atol=1e-8)
    gradient = features.T @ (features @ weights - Y) + noise**2 * weights
    np.testing.assert_allclose(gradient, 0, atol=1e-12)
    wrong = ridge(features, Y, np.sqrt(noise) + 0.1)
    assert np.max(np.abs(tested @ wrong - dual.mean)) > 1e-4


def test_without_noise_weights_are_the_shortest():
    features = np.hstack([X, X])
    np.testing.assert_allclose(ridge(features, Y), np.linalg.pinv(features) @ Y, atol=1e-12)


def test_targets_of_one_output_may_be_a_vector():
    both, one = NET.posterior(X, Y, TEST, NOISE), NET.posterior(X, Y[:, 1], TEST, NOISE)
    assert one.mean.shape == (3,)
    np.testing.assert_allclose(one.mean, both.mean[:, 1], rtol=1e-14)
    np.testing.assert_array_equal(one.covariance, both.covariance)
    np.testing.assert_allclose(ridge(X, Y[:, 1], NOISE), ridge(X, Y, NOISE)[:, 1], rtol=1e-12)


def test_training_points_are_known_without_noise_and_nothing_is_with_very_much():
    known = NET.posterior(X, Y, X)
    np.testing.assert_allclose(known.mean, Y, atol=1e-12)
    np.testing.assert_allclose(known.covariance, 0, atol=1e-13)
    assert np.min(np.diag(known.covariance)) >= 0
    ignored = NET.posterior(X, Y, TEST, 1e9)
    np.testing.assert_allclose(ignored.mean, 0, atol=1e-15)
    np.testing.assert_allclose(ignored.covariance, NET.nngp(TEST), rtol=1e-15)


def test_repeated_inputs_share_the_mean_of_their_targets():
    repeated, targets = np.vstack([X, X[1:2], X[1:2]]), np.vstack([Y, [[3.0, 1.0]], [[-1.0, 0.5]]])
    merged = Y.copy()
    merged[1] = targets[[1, 5, 6]].mean(axis=0)
    found, expected = NET.posterior(repeated, targets, TEST), NET.posterior(X, merged, TEST)
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-11)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)
    little = NET.posterior(repeated, targets, TEST, 1e-3)  # its K + s^2 has a Cholesky factor
    np.testing.assert_allclose(found.mean, little.mean, atol=1e-4)
    alone = NET.posterior(X, Y, TEST)
    assert np.max(np.abs(alone.mean - found.mean)) > 0.1


def in_sixty_digits(prior, between, known, y):
    with mpmath.workdps(60):
        inverse = mpmath.matrix(known.tolist()) ** -1
        gain = mpmath.matrix(between.tolist()) * inverse
        covariance = mpmath.matrix(prior.tolist()) - gain * mpmath.matrix(between.T.tolist())
        mean = gain * mpmath.matrix(y.tolist())
        return np.array(mean.tolist(), dtype=float), np.array(covariance.tolist(), dtype=float)


@pytest.mark.parametrize(("scale", "digits"), [(5.0, 7), (7.0, 4), (10.0, 2), (12.0, 1)])
def test_the_warning_tells_how_many_digits_are_left(scale, digits):
    x, tested = np.linspace(0, 10, 9)[:, None] ** 1.1, np.array([[0.7], [3.2], [8.4]])
    prior, between, known = matrices(RBF(scale), x, tested)
    y = np.hstack([np.sin(x), np.cos(x)])
    with pytest.warns(IllConditioned, match=rf"condition number .*: as few as {digits} of 16 digits may be left"):
        found = posterior(prior, between, known, y)
    mean, covariance = in_sixty_digits(prior, between, known, y)
    error = np.max(np.abs(found.mean - mean))
    assert 10.0 ** -(digits + 4) < error < 10.0**-digits  # nor does it warn of nothing
    assert np.max(np.abs(found.covariance - covariance)) < 1e-14


def test_a_kernel_without_a_cholesky_factor_warns_too():
    x = np.linspace(0, 1, 30)[:, None]
    with pytest.warns(IllConditioned, match=r"as few as [01] of 16 digits"):
        found = posterior(*matrices(RBF(1.0), x, np.array([[0.33]])), np.sin(3 * x))
    np.testing.assert_allclose(found.mean, np.sin(0.99), atol=1e-3)


def test_a_constant_network_predicts_nothing():
    found = MLP("relu", 1, 0.0).posterior(X, Y, TEST)
    np.testing.assert_array_equal(found.mean, 0)
    np.testing.assert_array_equal(found.covariance, 0)


K_xx, K_xX, K_XX = matrices(NET.nngp)
INVALID = [
    ((K_xx, K_xX, K_XX[:4, :4], Y), r"K_XX must have shape \(5, 5\) beside K_xX of \(3, 5\), got \(4, 4\)"),
    ((K_XX, K_xX, K_XX, Y), r"K_xx must have shape \(3, 3\) beside K_xX of \(3, 5\), got \(5, 5\)"),
    ((K_xx, K_xX[0], K_XX, Y), r"K_xX must be a matrix .* got shape \(5,\)"),
    ((K_xx, K_xX, K_XX * np.nan, Y), "K_XX must be finite"),
    ((K_xx, K_xX, K_XX + np.triu(K_XX), Y), "K_XX must be symmetric"),
    ((K_xx, K_xX, -K_XX, Y), "must be positive semidefinite, got the eigenvalue -"),
    ((K_xx, K_xX, K_XX, Y[:4]), r"targets must have shape \(5,\) or \(5, n_outputs\), one per input, got \(4, 2\)"),
    ((K_xx, K_xX, K_XX, Y[None]), r"targets must have shape .* got \(1, 5, 2\)"),
    ((K_xx, K_xX, K_XX, np.where(Y == 2.0, np.nan, Y)), "targets must be finite, got NaN or infinity in row 1"),
    ((K_xx, K_xX, K_XX, Y, -0.1), "noise must be a finite number >= 0, got -0.1; it is a standard deviation"),
    ((K_xx, K_xX, K_XX, Y, np.inf), "noise must be a finite number >= 0, got inf"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        posterior(*arguments)


def test_a_network_refuses_inputs_of_two_dimensions():
    with pytest.raises(ValueError, match="x_train and x_test must have one dimension, got 3 and 2"):
        NET.posterior(X, Y, TEST[:, :2])


def test_targets_and_noise_are_refused_before_any_kernel(monkeypatch):
    monkeypatch.setattr(MLP, "kernels", lambda *_: pytest.fail("a kernel was computed"))
    with pytest.raises(ValueError, match="targets must be finite"):
        NET.posterior(X, Y * np.nan, TEST)
    with pytest.raises(ValueError, match="noise must be"):
        NET.posterior(X, Y, TEST, np.nan)
