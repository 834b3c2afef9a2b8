"""What is measured for the statements of the lecture and for the exact laws of one hidden layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim, Observable
from derive.terms import Term
from numeric.finite_width import law, layer_two
from numeric.kernels import MLP
from verify.deep_plans import coefficient, deep_ensemble, one_input
from verify.ensembles import Statistic, moment_name
from verify.inputs import Inputs
from verify.layer_plans import PLANNERS as ON_A_LAYER
from verify.output_plans import dependence, distribution
from verify.planning import (
    ACTIVATIONS,
    DEEP_WIDTHS,
    MODEL_ERROR,
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
from verify.rates import rates_for, widths_up_to
from verify.readouts import PLANNERS as OF_LAST_LAYERS
from verify.training_plans import covariance, laziness, mean, pathwise_ratio

FloatArray = NDArray[np.float64]


def plans_for(claim: Claim, inputs: Inputs, resolution: float, widest: int = DEEP_WIDTHS[-1]) -> tuple[Plan, ...]:
    """Return the statistical checks of a claim; none if nothing of it is random.

    Args:
        claim: the claim.
        inputs: what the networks are evaluated on.
        resolution: the smallest relative deviation that must not be confirmed.
        widest: up to which width convergence is followed.
    """
    return tuple(plan for what in claim.as_observed() for plan in _plans(what, inputs, resolution, widest))


def _plans(claim: Claim, inputs: Inputs, resolution: float, widest: int) -> tuple[Plan, ...]:
    planner = _PLANNERS.get(claim.observable) if claim.observable else None
    rates = rates_for(claim, inputs, widths_up_to(widest))
    return (*(planner(claim, inputs, resolution) if planner else ()), *rates, *laziness(claim, widest))


def _first_layer_values(net: MLP, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
    return net.nngp(inputs.x), net.between_outputs(inputs.x)[0]


def _first_moments(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = network("identity", 0)

    def value(term: Term) -> FloatArray:
        same, different = _first_layer_values(net.with_recursion(first_kernel=expression(term)), inputs)
        return np.concatenate([at_pairs(same, inputs), at_pairs(different, inputs)])

    scale = np.tile(scale_of(net.nngp(inputs.x), inputs), 2)
    unit = "relative to sqrt(K(x,x) K(x',x'))"
    return (
        plan_of_mean(
            claim,
            "first layer",
            first_ensemble(),
            "second moments of units",
            value,
            scale,
            equal_and_different(inputs.pair_labels),
            resolution,
            unit,
        ),
    )


def _first_law(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = network("identity", 0)

    def value(term: Term) -> FloatArray:
        same, different = _first_layer_values(net.with_recursion(first_kernel=expression(term)), inputs)
        squares = np.multiply.outer(np.diag(same), np.diag(same))
        return np.concatenate([at_pairs(squares + 2 * same**2, inputs), at_pairs(squares + 2 * different**2, inputs)])

    claimed = value(claim.statement())
    scale = np.where(claimed > 0, claimed, 1.0)
    unit = "relative to the fourth moment itself"
    note = (
        "fourth moments at pairs of inputs and of units, by the pairings of a Gaussian process with independent units"
    )
    return (
        plan_of_mean(
            claim,
            "first layer",
            first_ensemble(),
            "fourth moments of units",
            value,
            scale,
            equal_and_different(inputs.pair_labels),
            resolution,
            unit,
            note=note,
        ),
    )


def _first_tangent(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = network("identity", 0)

    def value(term: Term) -> FloatArray:
        changed = net.with_recursion(first_tangent=expression(term))
        same, different = changed.ntk(inputs.x), changed.between_outputs(inputs.x)[1]
        return np.concatenate([at_pairs(same, inputs), at_pairs(different, inputs)])

    scale = np.tile(scale_of(net.ntk(inputs.x), inputs), 2)
    note = "not random: every network shows the same kernel, which is compared up to rounding"
    return (
        plan_of_mean(
            claim,
            "first layer",
            first_ensemble(3),
            "ntk",
            value,
            scale,
            equal_and_different(inputs.pair_labels),
            resolution,
            "relative to sqrt(K(x,x) K(x',x'))",
            note=note,
        ),
    )


def _on_one_hidden_layer(
    claim: Claim, inputs: Inputs, resolution: float, statistic: str, tangent: bool, between: bool
) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            changed = net.with_recursion(**{claim.slot: expression(term)})
            same = at_pairs(changed.kernels(inputs.x)[int(tangent)], inputs)
            if not between:
                return same
            return np.concatenate([same, at_pairs(changed.between_outputs(inputs.x)[int(tangent)], inputs)])

        scale = scale_of(net.kernels(inputs.x)[int(tangent)], inputs)
        labels = inputs.pair_labels
        kernel = "Theta" if tangent else "K"
        plans.append(
            plan_of_mean(
                claim,
                f"one hidden layer, {activation}, width {WIDTH}",
                one_hidden(activation),
                statistic,
                value,
                np.tile(scale, 2) if between else scale,
                equal_and_different(labels) if between else labels,
                resolution,
                f"relative to sqrt({kernel}(x,x) {kernel}(x',x'))",
                note="exact at this width",
            )
        )
    return tuple(plans)


def _units(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _on_one_hidden_layer(claim, inputs, resolution, "second moments of units", tangent=False, between=True)


def _kernel(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _on_one_hidden_layer(claim, inputs, resolution, "nngp", tangent=False, between=False)


def _inherited(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _on_one_hidden_layer(claim, inputs, resolution, "inherited ntk", tangent=True, between=True)


def _tangent_kernel(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _on_one_hidden_layer(claim, inputs, resolution, "ntk", tangent=True, between=True)


def _variance(claim: Claim, inputs: Inputs, resolution: float, tangent: bool) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            same, different = (
                at_pairs(law(net, inputs.x, WIDTH, expression(term), equal), inputs) for equal in (True, False)
            )
            return np.concatenate([same, different]) if tangent else same

        exact = value(claim.statement())
        kernel = at_pairs(net.kernels(inputs.x)[int(tangent)], inputs)
        labels = inputs.pair_labels
        plans.append(
            plan_of_mean(
                claim,
                f"one hidden layer, {activation}, width {WIDTH}",
                one_hidden(activation),
                f"squared spread of {'ntk' if tangent else 'nngp'}",
                value,
                np.where(exact > 0, exact, 1.0),
                equal_and_different(labels) if tangent else labels,
                resolution,
                "relative to the variance itself",
                centre=np.concatenate([kernel, np.zeros_like(kernel)]) if tangent else kernel,
                note="squared deviations from the exact mean; exact at this width",
            )
        )
    return tuple(plans)


FOURTH_MOMENTS = 2.5
"""How much coarser fourth moments and covariances of kernels are resolved than kernels (chosen: they spread more)."""


def _kernel_covariance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 1)
        laws = layer_two(net, inputs.x, WIDTH)

        def value(term: Term, net: MLP = net) -> FloatArray:
            return at_pairs(law(net, inputs.x, WIDTH, expression(term), True), inputs)

        product = at_pairs(laws.nngp_variance * laws.tangent_variance, inputs)
        plans.append(
            plan_of_mean(
                claim,
                f"one hidden layer, {activation}, width {WIDTH}",
                one_hidden(activation),
                "product of deviations of nngp and ntk",
                value,
                np.where(product > 0, np.sqrt(product), 1.0),
                inputs.pair_labels,
                FOURTH_MOMENTS * resolution,
                "relative to the product of the standard deviations",
                centre=np.stack([at_pairs(kernel, inputs) for kernel in net.kernels(inputs.x)]),
                note="exact at this width",
            )
        )
    return tuple(plans)


def _output_moments(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            of_units = (law(net, inputs.x, WIDTH, expression(term), equal) for equal in (True, False))
            return np.concatenate([at_pairs(moments, inputs) for moments in of_units])

        exact = value(claim.statement())
        plans.append(
            plan_of_mean(
                claim,
                f"one hidden layer, {activation}, width {WIDTH}",
                one_hidden(activation),
                "fourth moments of units",
                value,
                np.where(exact > 0, exact, 1.0),
                equal_and_different(inputs.pair_labels),
                FOURTH_MOMENTS * resolution,
                "relative to the moment itself",
                note="exact at this width",
            )
        )
    return tuple(plans)


def _kernel_variance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _variance(claim, inputs, resolution, tangent=False)


def _tangent_variance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _variance(claim, inputs, resolution, tangent=True)


def _extrapolated(claim: Claim, inputs: Inputs, resolution: float, tangent: bool) -> tuple[Plan, ...]:
    """Return plans for the limit of the mean: two widths combined so that the term in 1/N cancels."""
    small, large = DEEP_WIDTHS[0], DEEP_WIDTHS[-1]
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 2)
        scale = scale_of(net.kernels(inputs.x)[int(tangent)], inputs)

        def value(term: Term, net: MLP = net) -> FloatArray:
            return at_pairs(
                net.with_recursion(**{claim.slot: expression(term)}).kernels(inputs.x)[int(tangent)], inputs
            )

        target = value(claim.statement())
        mutants = tuple(PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
        statistic = Statistic(
            moment_name("ntk" if tangent else "nngp", 1, single=False), np.zeros_like(target), target, scale
        )
        weights = -small / (large - small), large / (large - small)
        parts = tuple(
            Part(weight, deep_ensemble(activation, width), statistic)
            for weight, width in zip(weights, (small, large), strict=True)
        )
        kernel = "Theta" if tangent else "K"
        plans.append(
            Plan(
                claim.id,
                f"two hidden layers, {activation}, widths {small} and {large}",
                "monte_carlo",
                parts,
                inputs.pair_labels,
                mutants,
                MODEL_ERROR,
                resolved(resolution, mutants, MODEL_ERROR),
                f"relative to sqrt({kernel}(x,x) {kernel}(x',x'))",
                "means at two widths combined so that the term in 1/N cancels; model-based: the next term is allowed",
            )
        )
    return tuple(plans)


def _deep_kernel(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _extrapolated(claim, inputs, resolution, tangent=False)


def _deep_tangent(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return _extrapolated(claim, inputs, resolution, tangent=True)


_PLANNERS: Mapping[Observable, Callable[[Claim, Inputs, float], tuple[Plan, ...]]] = {
    Observable.FIRST_LAYER_MOMENTS: _first_moments,
    Observable.FIRST_LAYER_LAW: _first_law,
    Observable.FIRST_LAYER_TANGENT: _first_tangent,
    Observable.UNIT_COVARIANCE: _units,
    Observable.KERNEL: _kernel,
    Observable.INHERITED_TANGENT_KERNEL: _inherited,
    Observable.TANGENT_KERNEL: _tangent_kernel,
    Observable.KERNEL_VARIANCE: _kernel_variance,
    Observable.TANGENT_VARIANCE: _tangent_variance,
    Observable.KERNEL_COVARIANCE: _kernel_covariance,
    Observable.OUTPUT_MOMENTS: _output_moments,
    Observable.OUTPUT_DEPENDENCE: dependence,
    Observable.OUTPUT_LAW: distribution,
    Observable.TRAINED_MEAN: mean,
    Observable.TRAINED_COVARIANCE: covariance,
    Observable.PATHWISE_RATIO: pathwise_ratio,
    Observable.ONE_INPUT_LAW: one_input,
    Observable.COEFFICIENT: coefficient,
    Observable.DEEP_KERNEL: _deep_kernel,
    Observable.DEEP_TANGENT_KERNEL: _deep_tangent,
    **ON_A_LAYER,
    **OF_LAST_LAYERS,
}
