"""Gradient flow of the linearized network: derived right sides against an integrated differential equation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, linalg

from derive.lecture import CLAIMS, linearized
from derive.lecture.ensemble_claims import covariance_statement, flow
from derive.notation import eigenvalue, learning_rate, time
from derive.operators import JACOBIAN, JACOBIAN_T, PARAMETERS, TRAINING, Letter, Operator, function_of_theta, word
from numeric.linearized import evaluate

RATE, TIME = 0.6, 1.7
GENERIC = np.array([[0.9, -0.4, 0.3, 1.1], [0.2, 0.8, -0.5, 0.4], [-0.6, 0.1, 0.7, 0.5]])
JACOBIANS = {
    "positive definite": GENERIC,
    "duplicated input": np.vstack([GENERIC[:2], GENERIC[:1]]),
    "more inputs than parameters": GENERIC[:, :2],
    "zero": np.zeros((3, 4)),
}
Y = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]])
F0 = np.array([[0.3, 0.6], [-0.8, 0.1], [0.45, -0.2]])
TEST_F0 = np.array([[0.7, -1.1], [0.2, 0.5]])
PRIOR = np.array([[0.8, -0.3, 0.5], [0.1, 1.2, -0.6]])
"""Covariance of f_0 between test and training inputs, which only wrong statements know."""


def beside(jacobian):
    """Jacobian of two test inputs with as many parameters."""
    return np.array([[0.5, -0.9, 0.2, 0.3], [1.2, 0.1, -0.7, -0.4]])[:, : jacobian.shape[1]]


def letters(jacobian, outputs=None):
    known = {"Y": Y, "f_0(X)": F0, "f_0(x)": TEST_F0, "Theta(x,X)": beside(jacobian) @ jacobian.T, "K(x,X)": PRIOR}
    return known if outputs is None else {**known, "f_t(X)": outputs}


def displacement(jacobian, at=TIME):
    """Displacement of the parameters at a time, by integrating gradient descent on 1/2 |f - Y|^2 in parameter space."""
    shape = jacobian.shape[1], 2

    def descend(_, omega):
        return (-RATE * jacobian.T @ (F0 + jacobian @ omega.reshape(shape) - Y)).ravel()

    solution = integrate.solve_ivp(descend, (0, at), np.zeros(shape).ravel(), method="DOP853", rtol=1e-11, atol=1e-12)
    return solution.y[:, -1].reshape(shape)


@pytest.mark.parametrize("name", JACOBIANS)
def test_the_theorems_follow_the_integrated_flow(name):
    jacobian = JACOBIANS[name]
    omega = displacement(jacobian)
    outputs = F0 + jacobian @ omega
    expected = {
        "eq70": -RATE * jacobian @ jacobian.T @ (outputs - Y),
        "eq71": outputs,
        "eq72": omega,
        "eq73": TEST_F0 + beside(jacobian) @ omega,
    }
    for claim, value in expected.items():
        for side in (CLAIMS[claim].proven().rhs, CLAIMS[claim].statement()):
            found = evaluate(side, jacobian, letters(jacobian, outputs), RATE, TIME)
            np.testing.assert_allclose(found, value, rtol=1e-8, atol=1e-9)
        for mutant in CLAIMS[claim].mutants():
            wrong = evaluate(mutant.statement, jacobian, letters(jacobian, outputs), RATE, TIME)
            assert name == "zero" or np.max(np.abs(wrong - value)) > 1e-3, mutant.name


@pytest.mark.parametrize("name", JACOBIANS)
def test_the_outputs_are_a_matrix_exponential(name):
    jacobian = JACOBIANS[name]
    expected = Y + linalg.expm(-RATE * TIME * jacobian @ jacobian.T) @ (F0 - Y)
    found = evaluate(linearized.training_outputs().rhs, jacobian, letters(jacobian), RATE, TIME)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["positive definite", "duplicated input", "more inputs than parameters"])
def test_the_limits_are_those_of_the_pseudo_inverse(name):
    jacobian = JACOBIANS[name]
    inverse = np.linalg.pinv(jacobian, rcond=1e-10)
    onto_range = jacobian @ inverse
    outputs = evaluate(linearized.final_training_outputs().rhs, jacobian, letters(jacobian), RATE, 1e9)
    np.testing.assert_allclose(outputs, F0 + onto_range @ (Y - F0), atol=1e-12)
    tested = evaluate(linearized.final_test_outputs().rhs, jacobian, letters(jacobian), RATE, 1e9)
    np.testing.assert_allclose(tested, TEST_F0 + beside(jacobian) @ inverse @ (Y - F0), atol=1e-11)


def test_duplicated_inputs_with_different_targets_end_at_their_mean():
    jacobian = JACOBIANS["duplicated input"]
    same = F0.copy()
    same[2] = same[0]
    outputs = evaluate(
        linearized.final_training_outputs().rhs, jacobian, {**letters(jacobian), "f_0(X)": same}, RATE, 1.0
    )
    np.testing.assert_allclose(outputs[0], (Y[0] + Y[2]) / 2, atol=1e-12)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-12)


def test_at_time_zero_nothing_has_moved():
    for theorem, start in ((linearized.training_outputs(), F0), (linearized.test_outputs(), TEST_F0)):
        np.testing.assert_allclose(evaluate(theorem.rhs, GENERIC, letters(GENERIC), RATE, 0.0), start, atol=1e-15)
    np.testing.assert_allclose(evaluate(linearized.parameters().rhs, GENERIC, letters(GENERIC), RATE, 0.0), 0)


def test_a_function_of_theta_alone_is_a_matrix():
    decay = function_of_theta(sp.exp(-learning_rate * eigenvalue * time), eigenvalue)
    found = evaluate(decay, GENERIC, {}, RATE, TIME)
    np.testing.assert_allclose(found, linalg.expm(-RATE * TIME * GENERIC @ GENERIC.T), atol=1e-14)
    kernel = Operator(TRAINING, TRAINING, [((), (sp.S.Zero, sp.S.One))])
    projector = evaluate(kernel, JACOBIANS["duplicated input"], {}, RATE, TIME)
    np.testing.assert_allclose(projector, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]) / 2, atol=1e-12)


def test_a_word_off_the_training_set_has_only_its_constant():
    np.testing.assert_array_equal(
        evaluate(3 * word(linearized.F0_TEST), GENERIC, letters(GENERIC), RATE, TIME), 3 * TEST_F0
    )


def test_a_letter_without_a_matrix_is_named():
    known = {name: matrix for name, matrix in letters(GENERIC).items() if name != "Y"}
    with pytest.raises(KeyError, match=r"expected a matrix for each of .*'Y'.*got none for Y"):
        evaluate(linearized.training_outputs().rhs, GENERIC, known, RATE, TIME)


def test_the_zero_operator_has_no_size():
    with pytest.raises(ValueError, match="the operator has no words"):
        evaluate(Operator(TRAINING, PARAMETERS, []), GENERIC, {}, RATE, TIME)


def psi(matrix):
    """(1 - exp(-s))/s of the eigenvalues of RATE * TIME * matrix, by an integral of matrix exponentials."""
    nodes, weights = np.polynomial.legendre.leggauss(30)
    return sum(w / 2 * linalg.expm(-(1 + x) / 2 * RATE * TIME * matrix) for x, w in zip(nodes, weights, strict=True))


@pytest.mark.parametrize("name", JACOBIANS)
def test_a_word_has_a_function_of_theta_at_every_joint(name):
    jacobian = JACOBIANS[name]
    middle = np.array([[0.3, -1.2, 0.5], [0.7, 0.2, -0.4], [1.1, 0.6, -0.9]])  # does not commute with Theta
    slope = function_of_theta((1 - sp.exp(-learning_rate * eigenvalue * time)) / eigenvalue, eigenvalue)
    free = word(Letter("M", TRAINING, TRAINING))
    theta, g = jacobian @ jacobian.T, RATE * TIME * psi(jacobian @ jacobian.T)
    words = {
        slope @ free @ slope @ word(linearized.Y): g @ middle @ g @ Y,
        free @ slope @ free @ slope @ free: middle @ g @ middle @ g @ middle,
        word(linearized.THETA_XX) @ slope @ free @ word(JACOBIAN): beside(jacobian)
        @ jacobian.T
        @ g
        @ middle
        @ jacobian,
        word(JACOBIAN) @ word(JACOBIAN_T) @ slope: theta @ g,
    }
    for operator, expected in words.items():
        found = evaluate(operator, jacobian, {**letters(jacobian), "M": middle}, RATE, TIME)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_functions_at_two_joints_are_told_apart():
    jacobian, middle = GENERIC, np.diag([1.0, 2.0, 4.0])
    decay = function_of_theta(sp.exp(-learning_rate * eigenvalue * time), eigenvalue)
    free = word(Letter("M", TRAINING, TRAINING))
    one, two = (evaluate(w, jacobian, {"M": middle}, RATE, TIME) for w in (decay @ free, free @ decay))
    np.testing.assert_allclose(one, two.T, atol=1e-14)
    assert np.max(np.abs(one - two)) > 0.1


def test_a_doubled_cross_term_is_invisible_at_one_input_and_visible_at_two():
    root, test = np.array([[0.8, 0.3, -0.5], [-0.1, 1.1, 0.4], [0.5, -0.2, 0.9]]), np.array([[0.6, -0.4, 0.1]])
    kernels = {"x": (test, beside(GENERIC)[:1]), "X": (root, GENERIC), "y": (2 * test + 1, beside(GENERIC)[1:])}

    def entry(cross, second):
        blocks = {"x": "x", "X": "X", "x'": second}
        known = {}
        for a, b in itertools.product(blocks, repeat=2):
            (k, j), (k2, j2) = kernels[blocks[a]], kernels[blocks[b]]
            known |= {f"K({a},{b})": k @ k2.T, f"Theta_inf({a},{b})": j @ j2.T}
        return evaluate(covariance_statement(flow(), cross=cross), GENERIC, known, RATE, TIME)[0, 0]

    assert entry((-2, 0), "x") == pytest.approx(entry((-1, -1), "x"), abs=1e-14)
    assert abs(entry((-2, 0), "y") - entry((-1, -1), "y")) > 0.01
