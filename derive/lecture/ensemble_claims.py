"""The statements of section 5.2 and of gradient descent, typed by hand, with wrong variants of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import ensemble_exhibits, linearized, ntk, trained_ensembles
from derive.lecture.linearized import DESCENT, THETA_XX
from derive.lecture.nngp import kernel_statement
from derive.lecture.trained_ensembles import DESCENT_LIMIT, feature_kernel, prior, theta
from derive.lecture.training import F0, F0_TEST, Y
from derive.lecture.training import kernel as kernel_between
from derive.notation import eigenvalue, layer, learning_rate, same_output, step, time, width
from derive.operators import (
    OTHER,
    TEST,
    TRAINING,
    Letter,
    Operator,
    Space,
    function_of_theta,
    slot,
    transposed,
    word,
)
from derive.terms import Expression, Index, atom, delta
from derive.theorem import Theorem

_HALF = sp.Rational(1, 2)

INVERSE = Operator(TRAINING, TRAINING, [((), (1 / slot(0), sp.S.Zero))])
"""The inverse on the range, zero on the kernel."""


def flow(rate: sp.Expr | int = 1) -> Operator:
    """Return ``(1 - e^(-rate eta Theta t))/Theta``."""
    return function_of_theta((1 - sp.exp(-rate * learning_rate * eigenvalue * time)) / eigenvalue, eigenvalue)


def descent(rate: sp.Expr | int = 1) -> Operator:
    """Return ``(1 - (1 - rate eta Theta)^t)/Theta``."""
    return function_of_theta((1 - (1 - rate * learning_rate * eigenvalue) ** step) / eigenvalue, eigenvalue)


def mean_statement(slope: Operator, kernel: Letter | None = None) -> Operator:
    """Return the mean of trained networks, for the function of Theta that their training applies to the targets."""
    return word(kernel or theta(TEST)) @ (slope @ word(Y))


def covariance_statement(
    slope: Operator,
    second: Operator | None = None,
    *,
    inner: Operator | None = None,
    cross: tuple[int, int] = (-1, -1),
    kernel: Letter | None = None,
) -> Operator:
    """Return the covariance of trained networks: all four terms, in the order of the lecture.

    Args:
        slope: the function of Theta that training applies to the targets.
        second: the same in the second factor, if it is another.
        inner: what stands for K on the training set.
        cross: coefficients of the third and fourth term.
        kernel: what stands for Theta(x,X) in the second term.
    """
    left = word(theta(TEST)) @ slope
    right = transposed(word(theta(OTHER)) @ (second or slope))
    middle = inner or word(prior(TRAINING, TRAINING))
    outer = left if kernel is None else word(kernel) @ slope
    terms = word(prior(TEST, OTHER)) + outer @ middle @ right
    terms = terms + cross[0] * (word(prior(TEST, TRAINING)) @ right)
    statement: Operator = same_output * (terms + cross[1] * (left @ word(prior(TRAINING, OTHER))))
    return statement


def collapsed_statement(
    function: Operator, sign: int = -1, kernel: Callable[[Space, Space], Letter] = feature_kernel
) -> Operator:
    """Return the covariance where Theta is K, as two terms."""
    pair = word(kernel(TEST, TRAINING)) @ function @ transposed(word(kernel(OTHER, TRAINING)))
    statement: Operator = same_output * (word(feature_kernel(TEST, OTHER)) + sign * pair)
    return statement


def mean_mutants(slope: Callable[..., Operator], kernel: Letter, others: tuple[Letter, ...]) -> tuple[Mutant, ...]:
    """Return wrong variants of the mean of trained networks.

    Args:
        slope: returns the function of Theta that training applies to the targets, for a multiple of the rate.
        kernel: the kernel between test and training inputs.
        others: what does not stand for it.
    """
    right = mean_statement(slope(), kernel)
    return (
        Mutant("the rate is doubled", mean_statement(slope(2), kernel)),
        Mutant("there is a ½ in the exponent", mean_statement(slope(_HALF), kernel)),
        Mutant("the rate is 2 % too large", mean_statement(slope(sp.Rational(51, 50)), kernel)),
        Mutant("the mean has the wrong sign", -1 * right),
        Mutant("the initial outputs on the training set stay", right - word(kernel) @ (slope() @ word(F0))),
        *(Mutant(f"{x.name} in place of {kernel.name}", mean_statement(slope(), x)) for x in others),
    )


def _covariance_mutants(slope: Callable[..., Operator]) -> tuple[Mutant, ...]:
    right = slope()
    theta_inside = function_of_theta(eigenvalue, eigenvalue)
    left = word(theta(TEST)) @ word(prior(TRAINING, TRAINING)) @ right @ right @ transposed(word(theta(OTHER)))
    proper = word(theta(TEST)) @ right @ word(prior(TRAINING, TRAINING)) @ transposed(word(theta(OTHER)) @ right)
    return (
        Mutant("one cross term twice, the other not at all", covariance_statement(right, cross=(-2, 0))),
        Mutant("the cross terms have the wrong sign", covariance_statement(right, cross=(1, 1))),
        Mutant("the cross terms are dropped", covariance_statement(right, cross=(0, 0))),
        Mutant("Θ stands for K on the training set", covariance_statement(right, inner=theta_inside)),
        Mutant("K stands for Θ in one place", covariance_statement(right, kernel=prior(TEST, TRAINING))),
        Mutant("the rate is doubled in one factor", covariance_statement(right, slope(2))),
        Mutant("the rate is doubled", covariance_statement(slope(2))),
        Mutant("there is a ½ in the exponent", covariance_statement(slope(_HALF))),
        Mutant("the exponential is missing in one factor", covariance_statement(right, INVERSE)),
        Mutant("K and the function of Θ are exchanged", covariance_statement(right) + same_output * (left - proper)),
        Mutant("different outputs are correlated", covariance_statement(right).map(lambda g: g / same_output)),
    )


def _claim(
    key: str, title: str, theorem: Callable[[], Theorem], statement: Callable[[], Operator], section: str, **rest: Any
) -> Claim:
    number = key.removeprefix("eq") if key.startswith("eq") else ""
    return Claim(
        id=key,
        title=title,
        section=section or None,
        equation=number if section else None,
        theorem=theorem,
        statement=statement,
        observable=Observable.FLOW,
        **rest,
    )


def prediction_statement(kernel: Letter, slope: Operator) -> Operator:
    """Return the prediction at test inputs, for the function of the kernel that training applies to the residual."""
    return word(F0_TEST) - word(kernel) @ (slope @ (word(F0) - word(Y)))


def _descended(rate: sp.Expr | int = 1) -> Operator:
    power = function_of_theta((1 - rate * learning_rate * eigenvalue) ** step, eigenvalue)
    return word(Y) + power @ (word(F0) - word(Y))


def _limit_kernel(factor: sp.Expr | int = 1, head: str = "Theta_inf", same: bool = True) -> Expression:
    """Return the limit of the tangent kernel of two units of layer l."""
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    statement: Expression = factor * atom(head, at=("x", "x'"), layer=layer)
    return statement * delta(k, m) if same else statement


def trained_mean_mutants() -> tuple[Mutant, ...]:
    """Return wrong variants of the mean of trained networks that a thousand networks tell apart."""
    kernels = {"K stands for Θ in one place": prior(TEST, TRAINING), "Θ̂ of one network stands for Θ": THETA_XX}
    return (
        Mutant("there is a 2 in the exponent", mean_statement(flow(2))),
        Mutant("there is a ½ in the exponent", mean_statement(flow(_HALF))),
        Mutant("the correction has the wrong sign", -1 * mean_statement(flow())),
        *(Mutant(name, mean_statement(flow(), kernel)) for name, kernel in kernels.items()),
    )


def trained_covariance_mutants() -> tuple[Mutant, ...]:
    """Return the same for their covariance."""
    right, theta_inside = flow(), function_of_theta(eigenvalue, eigenvalue)
    return (
        Mutant("there is a 2 in the exponent of one factor", covariance_statement(right, flow(2))),
        Mutant("there is a ½ in the exponent", covariance_statement(flow(_HALF))),
        Mutant("one cross term twice, the other not at all", covariance_statement(right, cross=(-2, 0))),
        Mutant("the cross terms have the wrong sign", covariance_statement(right, cross=(1, 1))),
        Mutant("the cross terms are dropped", covariance_statement(right, cross=(0, 0))),
        Mutant("Θ stands for K on the training set", covariance_statement(right, inner=theta_inside)),
        Mutant("K stands for Θ in one place", covariance_statement(right, kernel=prior(TEST, TRAINING))),
        Mutant("Θ̂ of one network stands for Θ in one place", covariance_statement(right, kernel=THETA_XX)),
    )


_WIDE = "all hidden widths tend to infinity before training begins; the training set is fixed"

CLAIMS = (
    _claim(
        "descent.training-outputs",
        "The outputs on the training set after t steps of gradient descent",
        lambda: linearized.training_outputs(DESCENT),
        _descended,
        "",
        kind=Kind.IDENTITY,
        mutants=lambda: (
            Mutant("the flow", word(F0) + function_of_theta(eigenvalue, eigenvalue) @ flow() @ (word(Y) - word(F0))),
            Mutant("the rate is doubled", _descended(2)),
            Mutant("each step ascends", _descended(-1)),
        ),
    ),
    _claim(
        "descent.outputs",
        "The prediction at any input after t steps of gradient descent, for any Θ, without an inverse",
        lambda: linearized.test_outputs(DESCENT),
        lambda: prediction_statement(THETA_XX, descent()),
        "",
        kind=Kind.IDENTITY,
        rests_on=("eq65", "descent.training-outputs"),
        mutants=lambda: (
            Mutant("the flow", prediction_statement(THETA_XX, flow())),
            Mutant("the rate is doubled", prediction_statement(THETA_XX, descent(2))),
            Mutant("the initial output is missing", prediction_statement(THETA_XX, descent()) - word(F0_TEST)),
        ),
    ),
    _claim(
        "descent.trained-outputs",
        "The prediction after many small enough steps, for any Θ: that of the flow",
        lambda: linearized.final_test_outputs(DESCENT),
        lambda: prediction_statement(THETA_XX, INVERSE),
        "",
        kind=Kind.LIMIT,
        rests_on=("descent.outputs",),
        mutants=lambda: (
            Mutant("the correction has the wrong sign", 2 * word(F0_TEST) - prediction_statement(THETA_XX, INVERSE)),
            Mutant("the initial output is missing", prediction_statement(THETA_XX, INVERSE) - word(F0_TEST)),
        ),
    ),
    _claim(
        "sec5.2-mean",
        "The mean prediction at time t of infinitely wide networks, for any Θ",
        trained_ensembles.mean_output,
        lambda: mean_statement(flow()),
        "5.2",
        kind=Kind.IDENTITY,
        status=Status.WRONG,
        rests_on=("eq73",),
        mutants=lambda: mean_mutants(flow, theta(TEST), (prior(TEST, TRAINING), THETA_XX)),
        printed=Printed(
            latex=r"\hat{\Theta}_{0}(x, \mathcal{X})\, \hat{\Theta}_{0}(\mathcal{X}, \mathcal{X})^{-1}"
            r" \left(I - e^{-\eta \hat{\Theta}_{0}(\mathcal{X}, \mathcal{X}) t}\right) \mathcal{Y}",
            correction="at infinite width the limit Θ, which is not random; at finite width the mean of the right "
            "side, since reversing the last layer changes the sign of f₀ and leaves the kernel",
            why="a mean is a number, but the kernel on the right is that of one random network",
        ),
        observed=lambda: (Observed(Observable.TRAINED_MEAN, lambda: mean_statement(flow()), trained_mean_mutants),),
        exhibits=ensemble_exhibits.mean_over_initialization,
        unstated=(_WIDE,),
    ),
    _claim(
        "sec5.2-moments",
        "Given the features, the initial outputs have the kernel of the features as covariance, at every width",
        trained_ensembles.initial_output_covariance,
        lambda: same_output * word(feature_kernel(TEST, OTHER)),
        "5.2",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        rests_on=("nngp.kernel-limit",),
        mutants=lambda: (
            Mutant("Θ stands for K", same_output * word(kernel_between("Theta_inf", r"\Theta", TEST, OTHER))),
            Mutant("different outputs are correlated", word(feature_kernel(TEST, OTHER))),
            Mutant("2 % too large", sp.Rational(51, 50) * same_output * word(feature_kernel(TEST, OTHER))),
        ),
        observed=lambda: (
            Observed(
                Observable.UNIT_COVARIANCE,
                kernel_statement,
                lambda: (
                    Mutant("different outputs are correlated", mutations.without_deltas(kernel_statement())),
                    Mutant("2 % too large", mutations.scaled(kernel_statement())),
                ),
                slot="kernel",
            ),
        ),
        exhibits=ensemble_exhibits.second_moments,
        unstated=(
            "over the features too it is the NNGP kernel of the limit: exactly for one hidden layer, else up to 1/N",
            "the four blocks are those of one covariance, K(X,x) is the transpose of K(x,X)",
            "readout weights and biases are centred",
        ),
    ),
    Claim(
        id="sec5.2-limits",
        title="As all hidden widths grow, the empirical kernels tend to deterministic ones, diagonal in the outputs",
        section="5.2",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=ntk.ntk_recursion,
        statement=_limit_kernel,
        mutants=lambda: (
            Mutant("the tangent kernel tends to the NNGP kernel", _limit_kernel(head="K")),
            Mutant("different outputs share their parameters", _limit_kernel(same=False)),
            Mutant("2 % too large", _limit_kernel(sp.Rational(51, 50))),
        ),
        rests_on=("eq36", "nngp.kernel-limit"),
        observed=ntk.observed_limit,
        exhibits=ensemble_exhibits.shrinking_variance,
        unstated=(
            "n is the width of all hidden layers, not the number of training inputs, which is fixed",
            "NTK parameterization; in standard parameterization the kernel must be divided by the width",
        ),
    ),
    _claim(
        "sec5.2-var",
        "The covariance of predictions at time t of infinitely wide networks, with all four terms",
        trained_ensembles.output_covariance,
        lambda: covariance_statement(flow()),
        "5.2",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        mutants=lambda: (
            *_covariance_mutants(flow),
            Mutant("Θ̂ of one network stands for Θ in one place", covariance_statement(flow(), kernel=THETA_XX)),
        ),
        observed=lambda: (
            Observed(Observable.TRAINED_COVARIANCE, lambda: covariance_statement(flow()), trained_covariance_mutants),
        ),
        exhibits=ensemble_exhibits.four_terms,
        rests_on=("sec5.2-moments", "sec5.2-limits"),
        unstated=(_WIDE,),
    ),
    _claim(
        "ensemble.prior",
        "The covariance before training is that of the initial outputs",
        trained_ensembles.initial_covariance,
        lambda: same_output * word(prior(TEST, OTHER)),
        "",
        kind=Kind.IDENTITY,
        rests_on=("sec5.2-var",),
        mutants=lambda: (
            Mutant("2 % too large", sp.Rational(51, 50) * same_output * word(prior(TEST, OTHER))),
            Mutant("different outputs are correlated", word(prior(TEST, OTHER))),
        ),
    ),
    _claim(
        "ensemble.trained-mean",
        "The mean of infinitely wide networks trained to the end, for any Θ",
        trained_ensembles.final_mean,
        lambda: mean_statement(INVERSE),
        "",
        kind=Kind.LIMIT,
        rests_on=("sec5.2-mean",),
        mutants=lambda: (
            Mutant("K stands for Θ in one place", mean_statement(INVERSE, prior(TEST, TRAINING))),
            Mutant("the mean has the wrong sign", -1 * mean_statement(INVERSE)),
        ),
    ),
    _claim(
        "ensemble.trained-covariance",
        "The covariance of infinitely wide networks trained to the end, for any Θ",
        trained_ensembles.final_covariance,
        lambda: covariance_statement(INVERSE),
        "",
        kind=Kind.LIMIT,
        rests_on=("sec5.2-var",),
        mutants=lambda: (
            Mutant("one cross term twice, the other not at all", covariance_statement(INVERSE, cross=(-2, 0))),
            Mutant("the cross terms have the wrong sign", covariance_statement(INVERSE, cross=(1, 1))),
            Mutant(
                "Θ stands for K on the training set",
                covariance_statement(INVERSE, inner=function_of_theta(eigenvalue, eigenvalue)),
            ),
        ),
    ),
    _claim(
        "descent.mean",
        "The mean prediction after t steps of gradient descent of infinitely wide networks",
        lambda: trained_ensembles.mean_output(DESCENT_LIMIT),
        lambda: mean_statement(descent()),
        "",
        kind=Kind.IDENTITY,
        mutants=lambda: (
            Mutant("the flow", mean_statement(flow())),
            *mean_mutants(descent, theta(TEST), (prior(TEST, TRAINING),)),
        ),
    ),
    _claim(
        "descent.covariance",
        "The covariance of predictions after t steps of gradient descent of infinitely wide networks",
        lambda: trained_ensembles.output_covariance(DESCENT_LIMIT),
        lambda: covariance_statement(descent()),
        "",
        kind=Kind.IDENTITY,
        mutants=lambda: (Mutant("the flow", covariance_statement(flow())), *_covariance_mutants(descent)),
    ),
    Claim(
        id="sec5.3-needs-proof",
        title="That wide networks train like their linearizations is stated without proof",
        section="5.3",
        equation="81",
        kind=Kind.REMARK,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated(
            "a remark on what is left to prove",
            unchecked="it says that a proof is missing; what would be proven (eq81-f, eq81-theta and eq81-Theta) is "
            "cited from its source and held against networks that are trained",
        ),
        statement=lambda: Formula(
            r"\sup_{t} \left\| f_{t}(x) - f_{t}^{\mathrm{lin}}(x) \right\|_{2} = \mathcal{O}(n^{-1/2})"
        ),
        mutants=tuple,
    ),
)
