"""Section 5.2: mean and covariance over initialization of networks in training (eqs 75-79).

At infinite width Theta is deterministic and ``f_0`` a centred Gaussian process of covariance K that need not commute
with Theta. If only the last layer is trained, the network is linear in what is trained, with the features as its
Jacobian: then Theta is K, at every width. Source: Lee et al. 2019 (arXiv:1902.06720), sections 2.2 and 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations_with_replacement

from derive.lecture.linearized import DESCENT, FLOW, parameters
from derive.lecture.training import OMEGA, F, Training, Y, initial, inputs, kernel, output, parameter_training
from derive.model import Model
from derive.moments import covariance, mean
from derive.notation import eigenvalue, learning_rate
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OTHER,
    OUTPUTS,
    PARAMETERS,
    TEST,
    TRAINING,
    Letter,
    Space,
    function_of_theta,
    identity,
    word,
)
from derive.rules import initialization
from derive.rules.spectral import definition, gram, name_product, range_of_jacobian, substitute_theorem
from derive.theorem import Theorem, reflexivity

TESTS = (TEST, OTHER)
ALL_INPUTS = (TEST, TRAINING, OTHER)


def theta(at: Space) -> Letter:
    """Return the limiting tangent kernel between test inputs and the training set."""
    return kernel("Theta_inf", r"\Theta", at, TRAINING, belongs_to=r"\Theta")


def prior(rows: Space, columns: Space) -> Letter:
    """Return the covariance of ``f_0`` between two sets of inputs."""
    return kernel("K", r"\mathcal{K}", rows, columns)


def movement(at: Space) -> Letter:
    """Return ``f_t - f_0`` at test inputs."""
    return Letter(
        f"f_t-f_0({at.name})", at, OUTPUTS, rf"\left(f_{{t}}^{{\mathrm{{lin}}}} - f_{{0}}\right)({inputs(at)})"
    )


def _at_infinite_width(name: str, changed: Callable[[Letter], Letter]) -> Model:
    residual = word(F) - word(Y)
    letters = [(changed(F), -learning_rate * (function_of_theta(eigenvalue, eigenvalue) @ residual))]
    for at in TESTS:
        letters.append((output(at), word(initial(at)) + word(movement(at))))
        letters.append((changed(movement(at)), -learning_rate * (word(theta(at)) @ residual)))
    return Model(
        name=f"{name} at infinite width: Theta is deterministic, f_0 a centred Gaussian process of covariance K",
        gaussian=frozenset(),
        letters=tuple(letters),
        covariances=tuple(
            (initial(a), initial(b), word(prior(a, b))) for a, b in combinations_with_replacement(ALL_INPUTS, 2)
        ),
        fixed=(Y, *map(theta, TESTS)),
    )


FLOW_LIMIT = FLOW.on(_at_infinite_width("gradient flow", FLOW.changed))
DESCENT_LIMIT = DESCENT.on(_at_infinite_width("gradient descent", DESCENT.changed))
"""Eq 69, and its counterpart for steps, with Theta and the law of ``f_0`` in the limit of infinite width."""


@cache
def prediction(at: Space = TEST, by: Training = FLOW_LIMIT) -> Theorem:
    """Return the outputs at any inputs in training at infinite width."""
    if at == TRAINING:
        rate = reflexivity(word(by.changed(F)), by.model).by(definition, by.changed(F))
        return by.solve(rate, word(F), word(Y), word(initial(TRAINING)))
    moved = movement(at)
    rate = reflexivity(word(by.changed(moved)), by.model).by(definition, by.changed(moved))
    moves = by.accumulate(rate.by(substitute_theorem, prediction(TRAINING, by)), word(moved))
    return reflexivity(word(output(at)), by.model).by(definition, output(at)).by(substitute_theorem, moves)


@cache
def mean_output(by: Training = FLOW_LIMIT) -> Theorem:
    """Return the mean over initialization of the outputs at any input."""
    theorem = reflexivity(mean(word(output(TEST))), by.model)
    return theorem.by(substitute_theorem, prediction(TEST, by)).by(initialization.mean)


@cache
def output_covariance(by: Training = FLOW_LIMIT) -> Theorem:
    """Return the covariance over initialization of the outputs at two sets of inputs."""
    theorem = reflexivity(covariance(word(output(TEST)), word(output(OTHER))), by.model)
    for at in TESTS:
        theorem = theorem.by(substitute_theorem, prediction(at, by))
    return theorem.by(initialization.covariance)


@cache
def initial_covariance(by: Training = FLOW_LIMIT) -> Theorem:
    """Return the covariance before training: that of the prior."""
    return output_covariance(by).by(by.begin)


@cache
def final_mean(by: Training = FLOW_LIMIT) -> Theorem:
    """Return the mean of networks that are trained to the end, for any Theta."""
    return mean_output(by).by(range_of_jacobian).by(by.end)


@cache
def final_covariance(by: Training = FLOW_LIMIT) -> Theorem:
    """Return the covariance of networks that are trained to the end, for any Theta."""
    return output_covariance(by).by(range_of_jacobian).by(by.end)


READOUT = Letter("W_t", PARAMETERS, OUTPUTS, r"W_{t}")
READOUT_0 = Letter("W_0", PARAMETERS, OUTPUTS, r"W_{0}")


def features(at: Space) -> Letter:
    """Return the features of some inputs: what the last layer is multiplied with, and its Jacobian."""
    return JACOBIAN if at == TRAINING else Letter(f"J({at.name})", at, PARAMETERS, f"J({at.name})")


def feature_kernel(rows: Space, columns: Space) -> Letter:
    """Return the kernel of the features between two sets of inputs."""
    return kernel("k", "K", rows, columns, belongs_to="" if TRAINING not in (rows, columns) else "K")


LAST_LAYER = FLOW.on(
    parameter_training(
        "gradient flow of the last layer alone, given the features J",
        FLOW.changed,
        letters=(
            (READOUT, word(READOUT_0) + word(OMEGA)),
            *((output(at), word(features(at)) @ word(READOUT)) for at in TESTS),
            *((initial(at), word(features(at)) @ word(READOUT_0)) for at in ALL_INPUTS),
        ),
        products=(
            *((features(at), READOUT_0, initial(at)) for at in TESTS),
            *((features(at), JACOBIAN_T, feature_kernel(at, TRAINING)) for at in TESTS),
            (JACOBIAN, features(OTHER).transpose, feature_kernel(TRAINING, OTHER)),
            (features(TEST), features(OTHER).transpose, feature_kernel(TEST, OTHER)),
        ),
        covariances=((READOUT_0, READOUT_0, identity(PARAMETERS)),),
        fixed=(Y, JACOBIAN, *map(features, TESTS), *(feature_kernel(at, TRAINING) for at in TESTS)),
    )
)
"""The readout of standard normal weights and biases over the last features, which stay what they are."""


@cache
def initial_output_covariance() -> Theorem:
    """Return the covariance of the initial outputs at two sets of inputs, given the features, exact at every width."""
    theorem = reflexivity(covariance(word(initial(TEST)), word(initial(OTHER))), LAST_LAYER.model)
    theorem = theorem.by(definition, initial(TEST)).by(definition, initial(OTHER)).by(initialization.covariance)
    return theorem.by(name_product, features(TEST), features(OTHER).transpose)


@cache
def last_layer_is_linear(at: Space = TEST) -> Theorem:
    """Return that the network is its linearization: the outputs at the start and the Jacobian times what has moved."""
    theorem = reflexivity(word(output(at)), LAST_LAYER.model).by(definition, output(at)).by(definition, READOUT)
    return theorem.by(name_product, features(at), READOUT_0)


@cache
def last_layer_prediction(at: Space = TEST) -> Theorem:
    """Return eq 75: the prediction when only the last layer is trained, exact at every width."""
    theorem = last_layer_is_linear(at).by(substitute_theorem, parameters(LAST_LAYER))
    return theorem.by(name_product, features(at), JACOBIAN_T)


@cache
def last_layer_mean() -> Theorem:
    """Return eq 76: the mean over the last layer at initialization."""
    theorem = reflexivity(mean(word(output(TEST))), LAST_LAYER.model)
    theorem = theorem.by(substitute_theorem, last_layer_prediction(TEST))
    return theorem.by(definition, initial(TEST)).by(definition, initial(TRAINING)).by(initialization.mean)


@cache
def last_layer_covariance() -> Theorem:
    """Return eq 78 for two sets of inputs: four terms that collapse, since Theta is K."""
    theorem = reflexivity(covariance(word(output(TEST)), word(output(OTHER))), LAST_LAYER.model)
    for at in TESTS:
        theorem = theorem.by(substitute_theorem, last_layer_prediction(at))
    for at in ALL_INPUTS:
        theorem = theorem.by(definition, initial(at))
    theorem = theorem.by(initialization.covariance).by(gram)
    for first, second in ((TEST, TRAINING), (TRAINING, OTHER), (TEST, OTHER)):
        theorem = theorem.by(name_product, features(first), features(second).transpose)
    return theorem


@cache
def final_last_layer_mean() -> Theorem:
    """Return eq 77: the mean of networks whose last layer is trained to the end."""
    return last_layer_mean().by(range_of_jacobian).by(LAST_LAYER.end)


@cache
def final_last_layer_covariance() -> Theorem:
    """Return eq 79 for two sets of inputs: the covariance of networks whose last layer is trained to the end."""
    return last_layer_covariance().by(range_of_jacobian).by(LAST_LAYER.end)
