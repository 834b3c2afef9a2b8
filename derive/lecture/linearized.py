"""Section 5.1: theorems on gradient flow of the linearized network (eqs 69-74), and on gradient descent.

With ``J = grad f_0(X)``, ``Theta = J J^T`` and the loss ``1/2 |f(X) - Y|^2`` (a sum), gradient flow of the linear
model is ``d/dt omega = -eta J^T (f_t(X) - Y)``. Source: Lee et al. 2019 (arXiv:1902.06720), section 2.2.
"""

from functools import cache

from derive.lecture.training import (
    F0,
    F0_TEST,
    F_TEST,
    OMEGA,
    F,
    Training,
    Y,
    change,
    kernel,
    parameter_training,
    rate,
)
from derive.model import Model
from derive.notation import learning_rate
from derive.operators import JACOBIAN, JACOBIAN_T, OUTPUTS, PARAMETERS, TEST, THETA_HAT, TRAINING, Letter, word
from derive.rules.descent import as_steps_grow, before_descent, solve_recurrence, sum_changes
from derive.rules.spectral import (
    as_time_grows,
    at_time_zero,
    definition,
    gram,
    integrate_rate,
    name_product,
    positive_definite,
    range_of_jacobian,
    solve_mode,
    substitute_theorem,
)
from derive.theorem import Theorem, reflexivity

JX = Letter("J(x)", TEST, PARAMETERS, r"J(x)")
F_RATE, OMEGA_RATE = rate(F), rate(OMEGA)
GRADIENT = Letter("dL/df(X)", TRAINING, OUTPUTS, r"\nabla_{f} L")
"""The gradient of any loss by the outputs on the training set."""
THETA_XX = kernel("Theta", THETA_HAT, TEST, TRAINING, belongs_to=THETA_HAT)

LINEARIZED, LINEARIZED_DESCENT = (
    parameter_training(
        f"{training} of the linearized network on the loss 1/2 |f(X) - Y|^2",
        changed,
        letters=((F_TEST, word(F0_TEST) + word(JX) @ word(OMEGA)),),
        products=((JX, JACOBIAN_T, THETA_XX),),
    )
    for training, changed in (("gradient flow", rate), ("gradient descent", change))
)
"""Eqs 64 and 65: the linear model at training and other inputs, and gradient flow, or descent, of its parameters."""


ANY_LOSS = Model(
    name="gradient flow of the linearized network on any loss of its outputs on the training set",
    gaussian=frozenset(),
    letters=(
        (rate(F_TEST), word(JX) @ word(OMEGA_RATE)),
        (OMEGA_RATE, -learning_rate * (word(JACOBIAN_T) @ word(GRADIENT))),
    ),
    products=((JX, JACOBIAN_T, THETA_XX),),
)

FLOW = Training(LINEARIZED, rate, solve_mode, integrate_rate, at_time_zero, as_time_grows)
DESCENT = Training(LINEARIZED_DESCENT, change, solve_recurrence, sum_changes, before_descent, as_steps_grow)


@cache
def gram_of_jacobian() -> Theorem:
    """Return eq 67: the empirical tangent kernel at initialization is the Gram matrix of the Jacobian."""
    return reflexivity(word(JACOBIAN) @ word(JACOBIAN_T), LINEARIZED).by(gram)


@cache
def prediction_rate() -> Theorem:
    """Return eq 69: the rate of the outputs at any input, for any loss."""
    theorem = reflexivity(word(rate(F_TEST)), ANY_LOSS).by(definition, rate(F_TEST))
    return theorem.by(definition, OMEGA_RATE).by(name_product, JX, JACOBIAN_T)


@cache
def output_rate(by: Training = FLOW) -> Theorem:
    """Return eq 70: the rate of the outputs on the training set."""
    theorem = reflexivity(word(by.changed(F)), by.model).by(definition, by.changed(F))
    return theorem.by(definition, by.changed(OMEGA)).by(gram)


@cache
def training_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 71 with the factors in the order that fits: the outputs on the training set."""
    return by.solve(output_rate(by), word(F), word(Y), word(F0))


@cache
def parameters(by: Training = FLOW) -> Theorem:
    """Return eq 72: the displacement of the parameters, without an inverse."""
    changed = reflexivity(word(by.changed(OMEGA)), by.model).by(definition, by.changed(OMEGA))
    return by.accumulate(changed.by(substitute_theorem, training_outputs(by)), word(OMEGA))


@cache
def test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 73: the prediction at any input."""
    theorem = reflexivity(word(F_TEST), by.model).by(definition, F_TEST)
    return theorem.by(substitute_theorem, parameters(by)).by(name_product, JX, JACOBIAN_T)


@cache
def initial_training_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 71a: training starts at the outputs of the network."""
    return training_outputs(by).by(by.begin)


@cache
def initial_test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 73a: the prediction starts at the output of the network."""
    return test_outputs(by).by(by.begin)


@cache
def final_training_outputs(by: Training = FLOW) -> Theorem:
    """Return the end of eq 71 for any Theta: targets on its range, the initial outputs on its kernel."""
    return training_outputs(by).by(by.end)


@cache
def final_test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 74 for any Theta: the limit of the prediction, with the inverse on the range only."""
    return test_outputs(by).by(range_of_jacobian).by(by.end)


@cache
def interpolation() -> Theorem:
    """Return the end of eq 71 for positive definite Theta: the targets."""
    return final_training_outputs().by(positive_definite)
