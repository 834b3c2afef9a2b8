"""What is measured for statements on one layer: its law in the limit, the terms of its sums, parts that are random.

With one hidden layer the units below are exactly iid, so moments of units, terms and parts have exact values at every
width. Fourth moments of units are affine in 1/N, so two widths combined have the moments of the limit, exactly too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim, Observable
from derive.lecture.deeper_layers import K, M
from derive.lecture.moments import moments_of
from derive.notation import sigma_b
from derive.terms import Expression, Term, delta
from numeric.finite_width import law
from numeric.kernels import MLP
from verify.ensembles import INHERITED, OWN, Ensemble, Statistic
from verify.inputs import Inputs
from verify.output_plans import WIDTHS as NARROW
from verify.output_plans import sixteen_outputs
from verify.planning import (
    ACTIVATIONS,
    WIDTH,
    Part,
    Plan,
    PlannedMutant,
    at_pairs,
    equal_and_different,
    expression,
    first_ensemble,
    network,
    one_hidden,
    plan_of_mean,
    resolved,
    scale_of,
)

FloatArray = NDArray[np.float64]

WIDE = 64
"""The larger width of the two that are combined; chosen: the narrow networks then have little weight."""
FEW = 256
"""Narrow networks in a block; chosen: their mean then spreads no more than that of the wide ones."""
FOURTH_MOMENTS, SPREADS = 2.5, 5.0
"""How much coarser fourth moments, and those in the limit and spreads, are resolved than means (chosen: they spread
more, and what is nearer shows in means)."""
ROUNDED = 1e-12
"""Variance over the square of the mean's scale below which it is 0 and only rounded (chosen)."""
_UNIT = "relative to sqrt(K(x,x) K(x',x'))"


def _same_and_different(net: MLP, inputs: Inputs, term: Term, width: int = WIDTH) -> tuple[FloatArray, FloatArray]:
    """Return the matrices of a statement for equal and for different outputs."""
    side = expression(term)
    same, different = (law(net, inputs.x, width, side, equal, one_hidden("").outputs) for equal in (True, False))
    return same, different


def _plans(
    claim: Claim,
    check: str,
    statistic: str,
    value: Callable[[MLP, Term], FloatArray],
    scale: Callable[[MLP, FloatArray], FloatArray],
    labels: tuple[str, ...],
    resolution: float,
    unit: str,
    centre: Callable[[MLP], FloatArray] | None = None,
) -> tuple[Plan, ...]:
    """Return the plans for the mean of a statistic of networks with one hidden layer, exact at their width."""
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 1)
        plans.append(
            plan_of_mean(
                claim,
                f"{check}, one hidden layer, {activation}, width {WIDTH}",
                one_hidden(activation),
                statistic,
                lambda term, net=net: value(net, term),  # type: ignore[misc]  # binds this turn's network
                scale(net, value(net, claim.statement())),
                labels,
                resolution,
                unit,
                centre=centre(net) if centre else None,
                note="exact at this width",
            )
        )
    return tuple(plans)


def _or_one(values: FloatArray) -> FloatArray:
    """Return sizes, 1 where they are 0 and only exact equality will do."""
    return np.where(np.abs(values) > 0, np.abs(values), 1.0)


# Units


def different_first_units(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plan for second moments of different units of the first layer."""
    net = network("identity", 0)

    def value(term: Term) -> FloatArray:
        return at_pairs(net.with_recursion(first_kernel=expression(term)).between_outputs(inputs.x)[0], inputs)

    labels = tuple(f"{label}, k ≠ k'" for label in inputs.pair_labels)
    scale = scale_of(net.nngp(inputs.x), inputs)
    name = "second moments of different units"
    return (plan_of_mean(claim, "different units", first_ensemble(), name, value, scale, labels, resolution, _UNIT),)


def different_units(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for second moments of different units of a deeper layer."""
    return _plans(
        claim,
        "different units",
        "second moments of different units",
        lambda net, term: at_pairs(_same_and_different(net, inputs, term)[1], inputs),
        lambda net, target: scale_of(net.nngp(inputs.x), inputs),
        tuple(f"{label}, k ≠ k'" for label in inputs.pair_labels),
        resolution,
        _UNIT,
    )


def mean_kernel(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for the mean of the empirical NNGP kernel, for statements on one unit."""
    return _plans(
        claim,
        "mean kernel",
        "nngp",
        lambda net, term: at_pairs(_same_and_different(net, inputs, term)[0], inputs),
        lambda net, target: scale_of(net.nngp(inputs.x), inputs),
        inputs.pair_labels,
        resolution,
        _UNIT,
    )


def biases(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for what units are besides the sums of their terms."""
    return _plans(
        claim,
        "biases",
        "second moments of units without their terms",
        lambda net, term: _pairs_of_both(_same_and_different(net, inputs, term), inputs),
        lambda net, target: np.full_like(target, target.max()),
        equal_and_different(inputs.pair_labels),
        resolution,
        "relative to σ_b²",
    )


def _pairs_of_both(matrices: tuple[FloatArray, FloatArray], inputs: Inputs) -> FloatArray:
    return np.concatenate([at_pairs(matrix, inputs) for matrix in matrices])


# The law in the limit


def _fourth_moments(same: FloatArray, different: FloatArray, inputs: Inputs) -> FloatArray:
    """Return ``E[z_k(x)^2 z_k'(x')^2]`` of the Gaussian process with these covariances, at pairs."""
    squares = np.multiply.outer(np.diag(same), np.diag(same))
    return np.concatenate([at_pairs(squares + 2 * matrix**2, inputs) for matrix in (same, different)])


def _at_four_inputs(same: FloatArray, different: FloatArray, inputs: Inputs) -> FloatArray:
    """Return ``E[z_k(a) z_k(b) z_k'(c) z_k'(d)]`` of it at inputs that follow one another in a circle."""
    a = np.arange(len(same))
    b, c, d = ((a + step) % len(same) for step in (1, 2, 3))

    def pairings(between: FloatArray) -> FloatArray:
        return np.asarray(same[a, b] * same[c, d] + between[a, c] * between[b, d] + between[a, d] * between[b, c])

    return np.concatenate([pairings(same), pairings(different)])


def _scale_at_four_inputs(kernel: FloatArray) -> FloatArray:
    """Return the product of the deviations at the four inputs, for equal and for different units."""
    deviations = np.sqrt(np.diag(kernel))
    product = np.prod([np.roll(deviations, -step) for step in range(4)], axis=0)
    return np.tile(np.where(product > 0, product, 1.0), 2)


_AT_FOUR_INPUTS = "relative to the product of sqrt(K(x,x)) at the four inputs"


def _circle(inputs: Inputs) -> tuple[str, ...]:
    """Return a name for each product at four inputs."""
    return tuple(f"from {label}" for label in inputs.labels)


def _limit(
    claim: Claim, inputs: Inputs, resolution: float, what: str, moments: Callable[..., FloatArray], biased: bool = True
) -> tuple[Plan, ...]:
    plans = []
    bias: Expression = sigma_b**2 * delta(K, M)
    name = f"fourth moments of units{' at four inputs' if moments is _at_four_inputs else ''}"
    labels = _circle(inputs) if moments is _at_four_inputs else inputs.pair_labels
    for activation in ACTIVATIONS:
        net, narrow = network(activation, 1), NARROW[activation]

        def value(term: Term, net: MLP = net) -> FloatArray:
            side = expression(term) if biased else expression(term) + bias
            return moments(*_same_and_different(net, inputs, side, WIDE), inputs)

        target = value(claim.statement())
        four = moments is _at_four_inputs
        scale = _scale_at_four_inputs(net.nngp(inputs.x)) if four else np.where(target > 0, target, 1.0)
        planted = (PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
        mutants = tuple(m for m in planted if m.equivalent or m.largest >= SPREADS * resolution)
        statistic = Statistic(name, np.empty(0), target, scale)
        weights = -narrow / (WIDE - narrow), WIDE / (WIDE - narrow)
        parts = tuple(
            Part(weight, ensemble, statistic)
            for weight, ensemble in zip(weights, _narrow_and_wide(activation), strict=True)
        )
        plans.append(
            Plan(
                claim.id,
                f"{what}, one hidden layer, {activation}, widths {narrow} and {WIDE}",
                "monte_carlo",
                parts,
                equal_and_different(labels),
                mutants,
                0.0,
                SPREADS * resolution,
                _AT_FOUR_INPUTS if four else "relative to the moment itself",
                "fourth moments are affine in 1/N: two widths combined have those of the limit, exactly; what is "
                "nearer than the resolution shows in second moments"
                + ("" if biased else "; units have biases too, whose variance is added"),
            )
        )
    return tuple(plans)


def _narrow_and_wide(activation: str) -> tuple[Ensemble, Ensemble]:
    """Return networks of both widths; the narrow ones have little weight, so there are few of them."""
    narrow, wide = sixteen_outputs(activation), sixteen_outputs(activation, WIDE)
    return replace(narrow, name=f"{narrow.name}, few", block_size=FEW), wide


def limit_law(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for the law of units in the limit, by fourth moments at pairs of inputs and of units."""
    return _limit(claim, inputs, resolution, "law in the limit", _fourth_moments)


def limit_law_of_sums(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the same for units without their biases."""
    return _limit(claim, inputs, resolution, "law in the limit", _fourth_moments, biased=False)


def limit_law_at_four_inputs(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the same by products at four inputs, which pairs of inputs do not determine."""
    return _limit(claim, inputs, resolution, "law in the limit at four inputs", _at_four_inputs)


def first_layer_at_four_inputs(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plan for products of the first layer at four inputs."""
    net = network("identity", 0)

    def value(term: Term) -> FloatArray:
        changed = net.with_recursion(first_kernel=expression(term))
        return _at_four_inputs(changed.nngp(inputs.x), changed.between_outputs(inputs.x)[0], inputs)

    return (
        plan_of_mean(
            claim,
            "first layer at four inputs",
            first_ensemble(),
            "fourth moments of units at four inputs",
            value,
            _scale_at_four_inputs(net.nngp(inputs.x)),
            equal_and_different(_circle(inputs)),
            FOURTH_MOMENTS * resolution,
            _AT_FOUR_INPUTS,
        ),
    )


# Terms of sums


def term_means(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for means of terms at every input."""
    return _plans(
        claim,
        "means of terms",
        "means of terms",
        lambda net, term: np.diag(_same_and_different(net, inputs, term)[0]).copy(),
        lambda net, target: np.sqrt(_or_one(np.diag(net.nngp(inputs.x)) / WIDTH)),
        inputs.labels,
        resolution,
        "relative to sqrt(K(x,x)/N)",
    )


def term_moments(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for second moments of terms on one hidden unit, at pairs of inputs."""
    return _plans(
        claim,
        "second moments of terms",
        "second moments of terms",
        lambda net, term: _pairs_of_both(_of_terms(net, inputs, term), inputs),
        lambda net, target: np.tile(scale_of(net.nngp(inputs.x) / WIDTH, inputs), 2),
        equal_and_different(inputs.pair_labels),
        resolution,
        "relative to sqrt(K(x,x) K(x',x'))/N",
    )


def _of_terms(net: MLP, inputs: Inputs, term: Term) -> tuple[FloatArray, FloatArray]:
    """Return second moments of terms; a statement is about one output, and terms of two are uncorrelated."""
    same, _ = _same_and_different(net, inputs, term)
    return same, np.zeros_like(same)


def term_variances(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the same plans for statements at one input, of which the pairs of an input with itself are looked at."""
    places = np.flatnonzero(inputs.pairs[0] == inputs.pairs[1])

    def value(net: MLP, term: Term) -> FloatArray:
        return np.diag(_same_and_different(net, inputs, term)[0]).copy()

    return _plans(
        claim,
        "variances of terms",
        "second moments of terms at single inputs",
        value,
        lambda net, target: _or_one(np.diag(net.nngp(inputs.x)) / WIDTH),
        tuple(inputs.pair_labels[place] for place in places),
        resolution,
        "relative to K(x,x)/N",
    )


def term_squares(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for products of squares of two terms of an output."""
    return _plans(
        claim,
        "squares of two terms",
        "products of squares of terms",
        lambda net, term: at_pairs(_same_and_different(net, inputs, term)[0], inputs),
        lambda net, target: _or_one(target),
        inputs.pair_labels,
        FOURTH_MOMENTS * resolution,
        "relative to the moment itself",
    )


def weights(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for second moments of weights on one hidden unit, which no input enters."""

    def value(net: MLP, term: Term) -> FloatArray:
        return np.array([matrix[0, 0] for matrix in _same_and_different(net, inputs, term)])

    labels = "k = k'", "k ≠ k'"
    name = "second moments of weights in terms"
    return _plans(claim, "weights", name, value, lambda net, target: np.ones(2), labels, resolution, "difference")


# Parts that are random


def _part(
    claim: Claim, inputs: Inputs, resolution: float, statistic: str, limit: Callable[[MLP], FloatArray]
) -> tuple[Plan, ...]:
    """Return the plans for mean and spread of a right side that is random.

    Args:
        claim: states it.
        inputs: what the networks are evaluated on.
        resolution: of the mean.
        statistic: what it is a right side of.
        limit: returns the exact mean for equal outputs, about which the spread is.
    """

    def entries(net: MLP, side: Expression) -> FloatArray:
        return _pairs_of_both(_same_and_different(net, inputs, side), inputs)

    def centre(net: MLP) -> FloatArray:
        middle = at_pairs(limit(net), inputs)
        return np.concatenate([middle, np.zeros_like(middle)])

    def moments(term: Term) -> tuple[Expression, Expression]:
        first, second = moments_of(expression(term))
        return expression(first.rhs), expression(second.rhs)

    def first(net: MLP, term: Term) -> FloatArray:
        return entries(net, moments(term)[0])

    def spread(net: MLP, term: Term) -> FloatArray:
        mean, square = (entries(net, side) for side in moments(term))
        return np.asarray(square - 2 * centre(net) * mean + centre(net) ** 2)

    def size(net: MLP, target: FloatArray) -> FloatArray:
        return np.tile(scale_of(limit(net), inputs), 2)

    labels = equal_and_different(inputs.pair_labels)
    of_means = _plans(
        claim, f"mean of {statistic}", statistic, first, size, labels, resolution, "relative to its own scale"
    )
    of_spreads = _plans(
        claim,
        f"spread of {statistic}",
        f"squared spread of {statistic}",
        spread,
        lambda net, target: np.where(target > ROUNDED * size(net, target) ** 2, target, 1.0),
        labels,
        SPREADS * resolution,
        "relative to the variance itself",
        centre,
    )
    pairs = zip(of_means, of_spreads, strict=True)
    return tuple(plan for pair in pairs for plan in _shared_out(*pair, resolution))


def _shared_out(mean: Plan, spread: Plan, resolution: float) -> tuple[Plan, Plan]:
    """Return both plans, each with the mutants that it is to tell apart: those that do not show in the mean, spread."""
    in_mean = {m.name for m in mean.mutants if m.largest >= resolution}
    in_mean |= {m.name for m in spread.mutants if m.equivalent}

    def part(plan: Plan, mine: bool, finest: float) -> Plan:
        mutants = tuple(m for m in plan.mutants if (m.name in in_mean) == mine)
        return replace(plan, mutants=mutants, resolution=resolved(finest, mutants))

    return part(mean, True, resolution), part(spread, False, SPREADS * resolution)


def own_part(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for the part of the output layer's own parameters."""
    return _part(claim, inputs, resolution, OWN, lambda net: net.nngp(inputs.x))


def inherited_part(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plans for the part inherited from the first layer."""

    def limit(net: MLP) -> FloatArray:
        nngp, ntk = net.kernels(inputs.x)
        return np.asarray(ntk - nngp)

    return _part(claim, inputs, resolution, INHERITED, limit)


PLANNERS: Mapping[Observable, Callable[[Claim, Inputs, float], tuple[Plan, ...]]] = {
    Observable.DIFFERENT_FIRST_UNITS: different_first_units,
    Observable.FIRST_LAYER_AT_FOUR_INPUTS: first_layer_at_four_inputs,
    Observable.DIFFERENT_UNITS: different_units,
    Observable.MEAN_KERNEL: mean_kernel,
    Observable.BIASES: biases,
    Observable.LIMIT_LAW: limit_law,
    Observable.LIMIT_LAW_OF_SUMS: limit_law_of_sums,
    Observable.LIMIT_LAW_AT_FOUR_INPUTS: limit_law_at_four_inputs,
    Observable.WEIGHTS: weights,
    Observable.TERM_MEANS: term_means,
    Observable.TERM_VARIANCES: term_variances,
    Observable.TERM_MOMENTS: term_moments,
    Observable.TERM_SQUARES: term_squares,
    Observable.OWN_PART: own_part,
    Observable.INHERITED_PART: inherited_part,
}
"""What is measured on one layer."""
