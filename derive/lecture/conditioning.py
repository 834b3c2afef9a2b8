"""Section 1: Gaussian processes given data (eqs 2, 3 and 80), and how trained networks compare with them.

Functions of the kernel on the training set, ``K = K(X,X)``, take the place of the inverse: ``1/(lambda + s^2)`` for
targets with noise of variance s^2, ``1/lambda`` on the range of K without noise. Source: Rasmussen and Williams,
Gaussian Processes for Machine Learning (2006), section 2.2.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.lecture.trained_ensembles import TESTS, feature_kernel, final_last_layer_covariance, final_last_layer_mean
from derive.lecture.training import Y, inputs
from derive.model import Model
from derive.moments import covariance
from derive.notation import eigenvalue, noise
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
    word,
)
from derive.rules import initialization
from derive.rules.initialization import agreement, conditional_covariance, conditional_mean
from derive.rules.spectral import range_of_jacobian
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


@cache
def mean_is_that_of_the_posterior() -> Theorem:
    """Return that eq 77 is the mean of eq 80: training the last layer to the end is conditioning on the targets."""
    return agreement(final_last_layer_mean(), posterior_mean())


@cache
def covariance_is_that_of_the_posterior() -> Theorem:
    """Return that eq 79 is the covariance of eq 80, with both its arguments."""
    return agreement(final_last_layer_covariance(), posterior_covariance())
