"""Claims on linear models against explicit systems: right ones pass, planted errors in claims and references do not."""

from __future__ import annotations

import dataclasses

import mpmath
import numpy as np
import pytest
from scipy import integrate

from derive.claim import Observable
from derive.lecture import CLAIMS, conditioning, trained_ensembles
from derive.lecture.ensemble_claims import covariance_statement, flow
from derive.lecture.trained_ensembles import DESCENT_LIMIT
from numeric.linearized import evaluate
from verify.checks import linear_models as module
from verify.checks.precision import precision
from verify.verdict import Verdict

LINEAR = [key for key, claim in CLAIMS.items() if claim.observable is Observable.FLOW]
CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED


@pytest.mark.parametrize("key", LINEAR)
def test_right_claims_are_confirmed_and_kill_all_mutants(key):
    result = precision(CLAIMS[key])
    assert result.verdict is CONFIRMED
    assert result.mutants
    assert all(m.killed for m in result.mutants)
    assert {"positive definite" in e.label or "singular" in e.label for e in result.entries} == {True}
    if "covariance" in CLAIMS[key].title.lower():
        assert any("two outputs" in e.label for e in result.entries)


MUTANTS = [(key, m.name) for key in LINEAR for m in CLAIMS[key].mutants()]


@pytest.mark.parametrize(("key", "name"), MUTANTS[::5])
def test_a_wrong_statement_is_refuted(key, name):
    (wrong,) = (m.statement for m in CLAIMS[key].mutants() if m.name == name)
    assert precision(dataclasses.replace(CLAIMS[key], statement=lambda: wrong, mutants=lambda: ())).verdict is REFUTED


def test_every_route_belongs_to_a_claim():
    assert set(module._ROUTES) == set(LINEAR)


def late(original):
    return lambda rows, by, at_end: original(rows, by, not at_end)


@pytest.mark.parametrize(
    "key", ["eq73", "sec5.2-mean", "sec5.2-var", "eq78", "descent.covariance", "ensemble.trained-mean"]
)
def test_a_reference_at_another_time_refutes_the_claim(key, monkeypatch):
    monkeypatch.setattr(module, "_accumulated", late(module._accumulated))
    assert precision(CLAIMS[key]).verdict is REFUTED


@pytest.mark.parametrize("key", ["descent.outputs", "descent.mean", "eq65"])
def test_one_step_more_is_seen(key, monkeypatch):
    seven = {rows: module._accumulated(rows, "descent", False) for rows in ((0, 1, 2), (0, 1, 0))}
    monkeypatch.setattr(module, "_accumulated", lambda rows, by, at_end: seven[rows])
    assert precision(CLAIMS[key]).verdict is CONFIRMED
    monkeypatch.setattr(module, "_TIMES", {**module._TIMES, "descent": (8, 400)})
    assert precision(CLAIMS[key]).verdict is REFUTED


@pytest.mark.parametrize("key", ["eq2", "eq3", "gp.noisy-mean", "gp.noisy-covariance", "gp.posterior-by-weights"])
def test_data_with_other_noise_refute_the_posterior(key, monkeypatch):
    def noisier(self, noisy):
        root, first, second = map(module._exact, self.system.roots)
        weights = first * root.T * mpmath.inverse(root * root.T + mpmath.mpf("0.37") * mpmath.eye(root.rows))
        mean = weights * module._exact(self.system.targets)
        return mean, first * second.T - weights * root * second.T

    monkeypatch.setattr(module._Training, "posterior", noisier)
    assert precision(CLAIMS[key]).verdict is REFUTED


ROOTS = module._ROOTS
JACOBIANS = module._JACOBIAN, module._TEST_JACOBIAN, module._OTHER_JACOBIAN
NAMES = ("X", "x", "x'")


def kernels(roots, jacobians):
    known = {}
    for a, p, j in zip(NAMES, roots, jacobians, strict=True):
        for b, q, k in zip(NAMES, roots, jacobians, strict=True):
            known |= {f"K({a},{b})": p @ q.T, f"Theta_inf({a},{b})": j @ k.T, f"k({a},{b})": j @ k.T}
    return known


def trained_by_steps(initial, jacobians, targets, rate, steps):
    """Outputs of an ensemble at two sets of test inputs after steps of gradient descent, one by one."""
    omega = np.zeros((len(initial[0]), jacobians[0].shape[1], targets.shape[1]))
    for _ in range(steps):
        residual = initial[0] + jacobians[0] @ omega - targets
        omega = omega - rate * jacobians[0].T @ residual
    return [f + j @ omega for f, j in zip(initial[1:], jacobians[1:], strict=True)]


def test_a_sampled_ensemble_has_the_mean_and_the_covariance_of_the_theorems():
    """20000 networks drawn and trained step by step; errors are held against their standard errors."""
    rng, targets, rate, steps, count = np.random.default_rng(3), module._TARGETS, 0.4, 5, 20000
    normals = rng.standard_normal((count, ROOTS[0].shape[1], 2))
    first, second = trained_by_steps([root @ normals for root in ROOTS], JACOBIANS, targets, rate, steps)
    known = {**kernels(ROOTS, JACOBIANS), "Y": targets}
    mean = evaluate(trained_ensembles.mean_output(DESCENT_LIMIT).rhs, JACOBIANS[0], known, rate, steps)
    error = np.abs(first.mean(axis=0) - mean) / (first.std(axis=0) / np.sqrt(count))
    assert error.max() < 5
    theorem = trained_ensembles.output_covariance(DESCENT_LIMIT)
    second_mean = second.mean(axis=0)
    for k, other in ((0, 0), (0, 1)):
        products = np.einsum("na,nb->nab", (first - mean)[:, :, k], (second - second_mean)[:, :, other])
        spread = products.std(axis=0) / np.sqrt(count)
        expected = evaluate(theorem.rhs, JACOBIANS[0], known, rate, steps, same_output=k == other)
        assert (np.abs(products.mean(axis=0) - expected) / spread).max() < 5
        wrong = evaluate(covariance_statement(flow()), JACOBIANS[0], known, rate, steps, same_output=k == other)
        if k == other:
            assert (np.abs(products.mean(axis=0) - wrong) / spread).max() > 8


def test_the_last_layer_of_a_network_is_trained_as_eq_75_says_at_width_five():
    """Gradient flow of the readout of an erf-like network, integrated in its parameters; nothing is linearized."""
    rng = np.random.default_rng(5)
    x, test, targets = rng.standard_normal((3, 4)) * [[1.0], [0.5], [2.0]], rng.standard_normal((2, 4)), module._TARGETS
    hidden, start, rate, time = rng.standard_normal((4, 5)), rng.standard_normal((6, 2)), 0.6, 1.4

    def features(at):
        return np.hstack([1.4 / np.sqrt(5) * np.tanh(at @ hidden), 0.3 * np.ones((len(at), 1))])

    def descend(_, readout):
        return -rate * (features(x).T @ (features(x) @ readout.reshape(6, 2) - targets)).ravel()

    solution = integrate.solve_ivp(descend, (0, time), start.ravel(), method="DOP853", rtol=1e-11, atol=1e-12)
    expected = features(test) @ solution.y[:, -1].reshape(6, 2)
    known = {
        "Y": targets,
        "f_0(X)": features(x) @ start,
        "f_0(x)": features(test) @ start,
        "k(x,X)": features(test) @ features(x).T,
    }
    found = evaluate(trained_ensembles.last_layer_prediction().rhs, features(x), known, rate, time)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_networks_trained_in_all_layers_vary_more_than_the_posterior():
    """The excess is positive semidefinite at equal inputs, and not zero."""
    roots, jacobians = (ROOTS[0], ROOTS[1], ROOTS[1]), (JACOBIANS[0], JACOBIANS[1], JACOBIANS[1])
    known = kernels(roots, jacobians)
    for at in ("x", "x'"):
        known[f"P({at})"] = known[f"K({at},X)"] @ np.linalg.inv(known["K(X,X)"])
        known[f"P({at})^T"] = known[f"P({at})"].T
    full, posterior = (
        evaluate(theorem.rhs, JACOBIANS[0], known, 1.0, 1.0)
        for theorem in (conditioning.covariance_beyond_the_posterior(), conditioning.posterior_by_weights())
    )
    eigenvalues = np.linalg.eigvalsh(full - posterior)
    assert eigenvalues[0] > -1e-12
    assert eigenvalues[-1] > 0.1
