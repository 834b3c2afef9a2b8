"""Section 1: Gaussian processes given data (eqs 2, 3 and 80), and how trained networks compare with them.

Functions of the kernel on the training set, ``K = K(X,X)``, take the place of the inverse: ``1/(lambda + s^2)`` for
targets with noise of variance s^2, ``1/lambda`` on the range of K without noise. Source: Rasmussen and Williams,
Gaussian Processes for Machine Learning (2006), section 2.2.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Status
from derive.lecture import ensemble_exhibits, gaussian_process_exhibits
from derive.lecture.ensemble_claims import INVERSE, collapsed_statement, mean_statement
from derive.lecture.trained_ensembles import (
    FLOW_LIMIT,
    TESTS,
    feature_kernel,
    final_covariance,
    final_last_layer_covariance,
    final_last_layer_mean,
    prior,
    theta,
)
from derive.lecture.training import F0, Y, initial, inputs
from derive.model import Model
from derive.moments import covariance
from derive.notation import eigenvalue, noise, same_output
from derive.operators import (
    OTHER,
    OUTPUTS,
    TEST,
    TRAINING,
    Letter,
    Operator,
    Space,
    function_of_theta,
    identity,
    slot,
    transposed,
    word,
)
from derive.rules import initialization
from derive.rules.initialization import agreement, conditional_covariance, conditional_mean
from derive.rules.spectral import definition, range_of_jacobian
from derive.theorem import Theorem, reflexivity


def process(at: Space) -> Letter:
    """Return the values of the Gaussian process at some inputs."""
    return Letter(f"f({at.name})", at, OUTPUTS, f"f({inputs(at)})")


NOISE = Letter("epsilon", TRAINING, OUTPUTS, r"\epsilon")

PRIOR = Model(
    name="a centred Gaussian process f of covariance K, observed on the training set",
    gaussian=frozenset(),
    covariances=(
        (process(TRAINING), process(TRAINING), function_of_theta(eigenvalue, eigenvalue)),
        *((process(at), process(TRAINING), word(feature_kernel(at, TRAINING))) for at in TESTS),
        *((process(at), process(at), word(feature_kernel(at, at))) for at in TESTS),
        (process(TEST), process(OTHER), word(feature_kernel(TEST, OTHER))),
        (NOISE, NOISE, identity(TRAINING)),
        *((process(at), NOISE, Operator(at, TRAINING, [])) for at in (*TESTS, TRAINING)),
    ),
    fixed=(Y, *(feature_kernel(at, TRAINING) for at in TESTS)),
)


def data(noisy: bool) -> Operator:
    """Return what is observed: the process on the training set, with or without noise."""
    return word(process(TRAINING)) + (noise if noisy else 0) * word(NOISE)


def weights(at: Space, noisy: bool) -> Operator:
    """Return A with ``A Cov(D, D) = Cov(f, D)`` for the data D."""
    inverse = (1 / (slot(0) + noise**2), 1 / noise**2) if noisy else (1 / slot(0), sp.S.Zero)
    return word(feature_kernel(at, TRAINING)) @ Operator(TRAINING, TRAINING, [((), inverse)])


def residual(at: Space, noisy: bool) -> Operator:
    """Return what the data leave of the process at test inputs."""
    return word(process(at)) - weights(at, noisy) @ data(noisy)


@cache
def uncorrelated(at: Space = TEST, noisy: bool = False) -> Theorem:
    """Return that the residual is uncorrelated with the data."""
    theorem = reflexivity(covariance(residual(at, noisy), data(noisy)), PRIOR).by(initialization.covariance)
    return theorem if noisy else theorem.by(range_of_jacobian)


@cache
def posterior_mean(noisy: bool = False) -> Theorem:
    """Return the mean of eqs 2 and 3, or of its noisy counterpart: the prediction given the data."""
    return conditional_mean(uncorrelated(TEST, noisy), word(process(TEST)), weights(TEST, noisy), word(Y))


@cache
def posterior_covariance(noisy: bool = False) -> Theorem:
    """Return the covariance of eq 3 with both its arguments, or of its noisy counterpart."""
    residuals = reflexivity(covariance(residual(TEST, noisy), residual(OTHER, noisy)), PRIOR).by(
        initialization.covariance
    )
    return conditional_covariance(
        *(uncorrelated(at, noisy) for at in TESTS),
        residuals,
        tuple(word(process(at)) for at in TESTS),
        tuple(weights(at, noisy) for at in TESTS),
        word(Y),
    )


def best(at: Space) -> Letter:
    """Return the weights P of the best linear prediction from the initial outputs on the training set."""
    return Letter(f"P({at.name})", at, TRAINING, f"P({at.name})")


_ON_TRAINING_SET = word(prior(TRAINING, TRAINING))
PREDICTED = FLOW_LIMIT.on(
    replace(
        FLOW_LIMIT.model,
        name=f"{FLOW_LIMIT.model.name}, where K(x,X) = P(x) K(X,X)",
        letters=(
            *FLOW_LIMIT.model.letters,
            *((prior(at, TRAINING), word(best(at)) @ _ON_TRAINING_SET) for at in TESTS),
            (prior(TRAINING, OTHER), _ON_TRAINING_SET @ transposed(word(best(OTHER)))),
        ),
        fixed=(*FLOW_LIMIT.model.fixed, *map(best, TESTS)),
    )
)
"""Networks of infinite width; the inverse of K, no function of Theta, enters by ``P(x) K(X,X) = K(x,X)`` alone."""


@cache
def posterior_by_weights() -> Theorem:
    """Return the covariance of the initial outputs given those on the training set, for weights P."""
    quantities, predictors = (tuple(word(of(at)) for at in TESTS) for of in (initial, best))
    residuals = [f - p @ word(F0) for f, p in zip(quantities, predictors, strict=True)]
    no_correlation = [
        reflexivity(covariance(r, word(F0)), PREDICTED.model)
        .by(initialization.covariance)
        .by(definition, prior(at, TRAINING))
        for r, at in zip(residuals, TESTS, strict=True)
    ]
    left = reflexivity(covariance(residuals[0], residuals[1]), PREDICTED.model).by(initialization.covariance)
    left = left.by(definition, prior(TEST, TRAINING)).by(definition, prior(TRAINING, OTHER))
    return conditional_covariance(*no_correlation, left, quantities, predictors, word(Y))


@cache
def covariance_beyond_the_posterior() -> Theorem:
    """Return the covariance of networks trained to the end in all layers, with K(x,X) written by the weights P."""
    theorem = final_covariance(PREDICTED).by(definition, prior(TEST, TRAINING))
    return theorem.by(definition, prior(TRAINING, OTHER))


@cache
def mean_is_that_of_the_posterior() -> Theorem:
    """Return that eq 77 is the mean of eq 80: training the last layer to the end is conditioning on the targets."""
    return agreement(final_last_layer_mean(), posterior_mean())


@cache
def covariance_is_that_of_the_posterior() -> Theorem:
    """Return that eq 79 is the covariance of eq 80, with both its arguments."""
    return agreement(final_last_layer_covariance(), posterior_covariance())


def printed_covariance() -> Operator:
    """Return the difference of eq 3 with two arguments and as printed, with one.

    Raises:
        IllTyped: always; a covariance has a row for each x and a column for each x'.
    """
    one = feature_kernel(TEST, TRAINING)
    printed = word(feature_kernel(TEST, TEST)) - word(one) @ INVERSE @ transposed(word(one))
    difference: Operator = collapsed_statement(INVERSE) - same_output * printed
    return difference


def noisy_inverse(variance: sp.Expr = noise**2) -> Operator:
    """Return ``1/(K + s^2)``."""
    return function_of_theta(1 / (eigenvalue + variance), eigenvalue)


def excess_statement(cross: int = 1) -> Operator:
    """Return the posterior's covariance and what networks trained in all layers have beyond it.

    Args:
        cross: coefficient of what they have beyond it.
    """
    p, q = (word(best(at)) for at in TESTS)
    a, b = (word(theta(at)) @ INVERSE for at in TESTS)
    beyond = (a - p) @ _ON_TRAINING_SET @ transposed(b - q)
    posterior = word(prior(TEST, OTHER)) - p @ _ON_TRAINING_SET @ transposed(q)
    statement: Operator = same_output * (posterior + cross * beyond)
    return statement


_K = feature_kernel(TEST, TRAINING)
_ONE_ARGUMENT = Printed(
    latex=r"k(x, x) - K(x, \mathcal{X})\, K(\mathcal{X}, \mathcal{X})^{-1}\, K(\mathcal{X}, x)",
    correction="a covariance has two arguments: K(x,x') - K(x,X) K⁻¹ K(X,x')",
    evaluate=printed_covariance,
    why="one argument gives the variance at each input, and the covariance between inputs not at all",
)


def _mean_mutants() -> tuple[Mutant, ...]:
    return (
        Mutant("the targets have noise of variance 1/2", mean_statement(noisy_inverse(sp.Rational(1, 2)), _K)),
        Mutant("the mean has the wrong sign", -1 * mean_statement(INVERSE, _K)),
        Mutant("K is not inverted", mean_statement(function_of_theta(eigenvalue, eigenvalue), _K)),
    )


def _covariance_mutants() -> tuple[Mutant, ...]:
    return (
        Mutant("the targets have noise of variance 1/2", collapsed_statement(noisy_inverse(sp.Rational(1, 2)))),
        Mutant("the correction has the wrong sign", collapsed_statement(INVERSE, sign=1)),
        Mutant("the correction is twice as large", collapsed_statement(INVERSE, sign=-2)),
    )


def _claim(key: str, title: str, **rest: Any) -> Claim:
    return Claim(id=key, title=title, observable=Observable.FLOW, **rest)


CLAIMS = (
    _claim(
        "eq2",
        "The mean of a Gaussian process given its values on the training set, for any K",
        section="1.3",
        equation="2",
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        theorem=posterior_mean,
        statement=lambda: mean_statement(INVERSE, _K),
        mutants=_mean_mutants,
        exhibits=gaussian_process_exhibits.posterior,
        unstated=("K(X,X) is invertible, or else the targets lie in its range",),
    ),
    _claim(
        "eq3",
        "The covariance of a Gaussian process given its values on the training set, for any K",
        section="1.3",
        equation="3",
        kind=Kind.IDENTITY,
        status=Status.WRONG,
        theorem=posterior_covariance,
        statement=lambda: collapsed_statement(INVERSE),
        mutants=_covariance_mutants,
        exhibits=gaussian_process_exhibits.posterior,
        printed=_ONE_ARGUMENT,
    ),
    _claim(
        "gp.noisy-mean",
        "The mean of a Gaussian process given targets with noise",
        kind=Kind.IDENTITY,
        theorem=lambda: posterior_mean(noisy=True),
        statement=lambda: mean_statement(noisy_inverse(), _K),
        mutants=lambda: (
            Mutant("no noise", mean_statement(INVERSE, _K)),
            Mutant("the noise enters by its standard deviation", mean_statement(noisy_inverse(noise), _K)),
            Mutant("the noise is subtracted", mean_statement(noisy_inverse(-(noise**2)), _K)),
        ),
    ),
    _claim(
        "gp.noisy-covariance",
        "The covariance of a Gaussian process given targets with noise",
        kind=Kind.IDENTITY,
        theorem=lambda: posterior_covariance(noisy=True),
        statement=lambda: collapsed_statement(noisy_inverse()),
        mutants=lambda: (
            Mutant("no noise", collapsed_statement(INVERSE)),
            Mutant("the noise enters by its standard deviation", collapsed_statement(noisy_inverse(noise))),
            Mutant("the correction has the wrong sign", collapsed_statement(noisy_inverse(), sign=1)),
        ),
    ),
    _claim(
        "sec5.2.1-compare",
        "Training the last layer to the end is conditioning on the targets: the means agree",
        section="5.2.1",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=mean_is_that_of_the_posterior,
        derived=lambda theorem: theorem.premises[-1].rhs,
        statement=lambda: mean_statement(INVERSE, _K),
        rests_on=("eq77", "eq2"),
        mutants=lambda: (
            *_mean_mutants(),
            Mutant("all layers are trained", mean_statement(INVERSE, theta(TEST))),
        ),
        observed=lambda: (Observed(Observable.FINAL_READOUT_MEAN, lambda: mean_statement(INVERSE, _K), _mean_mutants),),
        exhibits=ensemble_exhibits.mean_given_targets,
        unstated=(
            "training goes on to infinite time, of the last layer alone: networks trained in all layers, or for a "
            "finite time, follow no posterior of the prior K",
            "the prior is the kernel of the same network: that of its features, or the NNGP kernel at infinite width",
        ),
    ),
    _claim(
        "eq80",
        "Training the last layer to the end is conditioning on the targets: the covariances agree",
        section="5.2.1",
        equation="80",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=covariance_is_that_of_the_posterior,
        derived=lambda theorem: theorem.premises[-1].rhs,
        statement=lambda: collapsed_statement(INVERSE),
        rests_on=("eq79", "eq3"),
        mutants=_covariance_mutants,
        printed=_ONE_ARGUMENT,
        observed=lambda: (
            Observed(Observable.FINAL_READOUT_COVARIANCE, lambda: collapsed_statement(INVERSE), _covariance_mutants),
        ),
        exhibits=ensemble_exhibits.covariance_given_targets,
    ),
    _claim(
        "gp.posterior-by-weights",
        "The covariance given the values on the training set, for any P with P(x) K(X,X) = K(x,X)",
        kind=Kind.IDENTITY,
        theorem=posterior_by_weights,
        statement=lambda: excess_statement(cross=0),
        mutants=lambda: (Mutant("that of networks trained in all layers", excess_statement()),),
    ),
    _claim(
        "ensemble.not-a-posterior",
        "Networks trained to the end in all layers vary beyond the posterior: training is no conditioning",
        kind=Kind.LIMIT,
        theorem=covariance_beyond_the_posterior,
        statement=excess_statement,
        rests_on=("ensemble.trained-covariance", "gp.posterior-by-weights"),
        mutants=lambda: (
            Mutant("they vary as the posterior", excess_statement(cross=0)),
            Mutant("they vary less than the posterior", excess_statement(cross=-1)),
        ),
    ),
)
