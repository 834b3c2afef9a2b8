"""The statements of section 5.2.1 on networks whose last layer alone is trained, with wrong variants of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Status
from derive.lecture import ensemble_exhibits, trained_ensembles
from derive.lecture.ensemble_claims import (
    INVERSE,
    collapsed_statement,
    flow,
    mean_mutants,
    mean_statement,
    prediction_statement,
)
from derive.lecture.linearized import JX, THETA_XX
from derive.lecture.trained_ensembles import READOUT, feature_kernel, theta
from derive.lecture.training import F0_TEST, OMEGA, F
from derive.notation import eigenvalue, learning_rate, same_output, time
from derive.operators import TEST, TRAINING, Letter, Operator, Space, function_of_theta, word
from derive.theorem import Theorem

_HALF = sp.Rational(1, 2)
_K = feature_kernel(TEST, TRAINING)
_DECAY = sp.exp(-learning_rate * eigenvalue * time)
_SQUARED = function_of_theta((1 - _DECAY) ** 2 / eigenvalue, eigenvalue)
_NOISY = function_of_theta(1 / (eigenvalue + _HALF), eigenvalue)

_FLOW_OF_TIME = "training is gradient flow: the learning rate only scales time"
_OF_FEATURES = "K is that of the features; at infinite width it is the NNGP kernel"
_TO_THE_END = "as printed, with an inverse, K on the training set must be positive definite; as stated here it need not"


def printed_last_layer() -> Operator:
    """Return the difference of both sides of the model of section 5.2.1 as printed.

    Raises:
        IllTyped: always; one side has a row per training input, the other a row per test input.
    """
    difference: Operator = word(F) - word(JX) @ word(READOUT)
    return difference


def _tangent(rows: Space, columns: Space) -> Letter:
    return theta(rows)


def _claim(
    key: str, title: str, theorem: Callable[[], Theorem], statement: Callable[[], Operator], **rest: Any
) -> Claim:
    return Claim(
        id=key,
        title=title,
        section="5.2.1",
        equation=key.removeprefix("eq") if key.startswith("eq") else "",
        theorem=theorem,
        statement=statement,
        observable=Observable.FLOW,
        **rest,
    )


def _mutants_of_eq77() -> tuple[Mutant, ...]:
    return (
        Mutant("Θ stands for K", mean_statement(INVERSE, theta(TEST))),
        Mutant("the targets have noise of variance 1/2", mean_statement(_NOISY, _K)),
        Mutant("the mean has the wrong sign", -1 * mean_statement(INVERSE, _K)),
    )


def _mutants_of_eq78() -> tuple[Mutant, ...]:
    return (
        Mutant("the 2 in the exponent is missing", collapsed_statement(flow())),
        Mutant("the factor 1 - e^{-ηKt} is squared", collapsed_statement(_SQUARED)),
        Mutant("the correction has the wrong sign", collapsed_statement(flow(2), sign=1)),
        Mutant("Θ stands for K", collapsed_statement(flow(2), kernel=_tangent)),
        Mutant("different outputs are correlated", collapsed_statement(flow(2)).map(lambda g: g / same_output)),
    )


def _mutants_of_eq79() -> tuple[Mutant, ...]:
    return (
        Mutant("the correction has the wrong sign", collapsed_statement(INVERSE, sign=1)),
        Mutant("Θ stands for K", collapsed_statement(INVERSE, kernel=_tangent)),
        Mutant("the targets have noise of variance 1/2", collapsed_statement(_NOISY)),
        Mutant("different outputs are correlated", collapsed_statement(INVERSE).map(lambda g: g / same_output)),
    )


CLAIMS = (
    _claim(
        "sec5.2.1-model",
        "A network of which only the last layer is trained is its linearization, at every width",
        trained_ensembles.last_layer_is_linear,
        lambda: word(F0_TEST) + word(JX) @ word(OMEGA),
        kind=Kind.IDENTITY,
        status=Status.TYPO,
        mutants=lambda: (
            Mutant("the initial output is missing", word(JX) @ word(OMEGA)),
            Mutant("the displacement has the wrong sign", word(F0_TEST) - word(JX) @ word(OMEGA)),
        ),
        exhibits=ensemble_exhibits.last_layer,
        printed=Printed(
            latex=r"\hat{y}_{t}(\mathcal{X}, \theta^{L+1}) = \bar{a}(x)^{\top} \theta_{t}^{L+1}",
            correction="both sides are at the input x; θ^{L+1} is the last layer alone, not all layers up to it, and "
            "ā(x) holds φ(z^L)/√N and σ_b",
            evaluate=printed_last_layer,
            why="the left side has a row per training input, the right side is at one input x",
        ),
    ),
    _claim(
        "eq75",
        "The prediction when only the last layer is trained, at every width and for any K",
        trained_ensembles.last_layer_prediction,
        lambda: prediction_statement(_K, flow()),
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        rests_on=("sec5.2.1-model",),
        unstated=(
            "as printed, with an inverse, K̂ on the training set must be invertible, which takes at least |X| - 1 "
            "units; as stated here it need not be",
            _FLOW_OF_TIME,
        ),
        mutants=lambda: (
            Mutant("Θ stands for K", prediction_statement(THETA_XX, flow())),
            Mutant("the rate is doubled", prediction_statement(_K, flow(2))),
            Mutant("there is a ½ in the exponent", prediction_statement(_K, flow(_HALF))),
            Mutant("the correction has the wrong sign", 2 * word(F0_TEST) - prediction_statement(_K, flow())),
            Mutant("the initial output is missing", prediction_statement(_K, flow()) - word(F0_TEST)),
        ),
        unsampled="an equality for every draw of the weights, in which no mean is taken",
    ),
    _claim(
        "eq76",
        "The mean prediction when only the last layer is trained: given the features at every width, and in the limit",
        trained_ensembles.last_layer_mean,
        lambda: mean_statement(flow(), _K),
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        rests_on=("eq75",),
        unstated=(_OF_FEATURES,),
        mutants=lambda: mean_mutants(flow, _K, (theta(TEST),)),
        observed=lambda: (
            Observed(
                Observable.READOUT_MEAN,
                lambda: mean_statement(flow(), _K),
                lambda: mean_mutants(flow, _K, (theta(TEST),)),
            ),
        ),
    ),
    _claim(
        "eq77",
        "The mean prediction when the last layer is trained to the end, for any K",
        trained_ensembles.final_last_layer_mean,
        lambda: mean_statement(INVERSE, _K),
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq76",),
        unstated=(_TO_THE_END,),
        mutants=_mutants_of_eq77,
        observed=lambda: (
            Observed(Observable.FINAL_READOUT_MEAN, lambda: mean_statement(INVERSE, _K), _mutants_of_eq77),
        ),
    ),
    _claim(
        "eq78",
        "The covariance of predictions when only the last layer is trained: four terms collapse to two",
        trained_ensembles.last_layer_covariance,
        lambda: collapsed_statement(flow(2)),
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        rests_on=("eq75",),
        unstated=(_OF_FEATURES,),
        mutants=_mutants_of_eq78,
        observed=lambda: (
            Observed(Observable.READOUT_COVARIANCE, lambda: collapsed_statement(flow(2)), _mutants_of_eq78),
        ),
    ),
    _claim(
        "eq79",
        "The covariance of predictions when the last layer is trained to the end, for any K",
        trained_ensembles.final_last_layer_covariance,
        lambda: collapsed_statement(INVERSE),
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq78",),
        unstated=(_TO_THE_END,),
        mutants=_mutants_of_eq79,
        observed=lambda: (
            Observed(Observable.FINAL_READOUT_COVARIANCE, lambda: collapsed_statement(INVERSE), _mutants_of_eq79),
        ),
    ),
)
