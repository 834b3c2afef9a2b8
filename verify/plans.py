"""What to measure for a claim: targets, mutants and the statistics of networks that decide between them.

A plan is fixed before anything is sampled. Its target comes from the claim's statement by lowering, its mutants'
targets from their statements by the same way, so a check can tell them apart only by what the networks show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim, Observable
from derive.laws import GaussianProcess
from derive.terms import Expression, Term
from numeric.finite_width import law, layer_two
from numeric.kernels import MLP
from verify.ensembles import Ensemble, Statistic
from verify.inputs import Inputs

FloatArray = NDArray[np.float64]

SIGMA_W, SIGMA_B = 1.4, 0.3
"""Scales of the sampled networks: unequal, neither 1, so that a swap or a missing square shows."""
ACTIVATIONS = ("relu", "erf")
WIDTH = 16
"""Hidden width of the networks with exact finite-width laws: small, so that a million are cheap."""
DEEP_WIDTHS = (16, 32, 64, 128)
MODEL_ERROR = 1.0 / (DEEP_WIDTHS[0] * DEEP_WIDTHS[-1])
"""Allowed relative error of the extrapolated mean, one over the product of its widths. The extrapolation removes the
term in 1/N; the next is its coefficient over that product, and a coefficient of at most 1 was chosen, not derived."""
REACH = 1000.0
"""How much finer than its tier a check may become to resolve a mutant (chosen: a million times the samples)."""
EQUIVALENT = 1e-12
"""Relative distance below which a mutant is the statement itself, up to rounding (chosen)."""
RATE, RATE_ALLOWED, RATE_RESOLUTION = -0.5, 0.05, 0.25
"""Exponent of the fluctuations, the error of the fitted model that is allowed (chosen), and half the distance of the
nearest wrong exponent."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedMutant:
    """A wrong variant with the discrepancy that networks would show if it were true."""

    name: str
    distance: FloatArray

    @property
    def largest(self) -> float:
        """Return the largest discrepancy over the entries."""
        return float(np.max(np.abs(self.distance)))

    @property
    def equivalent(self) -> bool:
        """Return whether the variant is the same statement here, up to rounding: no sample could tell it apart."""
        return self.largest < EQUIVALENT


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A weighted statistic of an ensemble."""

    weight: float
    ensemble: Ensemble
    statistic: Statistic


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One statistical check of one claim.

    Attributes:
        claim: its id.
        check: its name, unique for the claim.
        kind: "monte_carlo" for means, "convergence" for an exponent.
        parts: what is measured; means are combined with the weights, exponents fitted to the parts in order.
        labels: a name for each entry.
        mutants: wrong variants and their discrepancies.
        allowed: discrepancy that the claim itself allows.
        resolution: smallest discrepancy that must not be confirmed.
        unit: what discrepancies are relative to.
        note: what the check assumes.
        predicted: exact standard deviations along the widths, where they are known.
    """

    claim: str
    check: str
    kind: str
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    mutants: tuple[PlannedMutant, ...]
    allowed: float
    resolution: float
    unit: str
    note: str = ""
    predicted: tuple[float, ...] = ()

    @property
    def out_of_reach(self) -> tuple[PlannedMutant, ...]:
        """Return the mutants nearer than the resolution: the check cannot confirm, however much is sampled."""
        return tuple(m for m in self.mutants if not m.equivalent and m.largest < self.resolution)

    @property
    def name(self) -> tuple[str, str]:
        """Return (claim, check), the name under which the error budget knows it."""
        return self.claim, self.check


def plans_for(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the statistical checks of a claim on inputs, at a resolution; none if nothing of it is random."""
    planner = _PLANNERS.get(claim.observable) if claim.observable else None
    return planner(claim, inputs, resolution) if planner else ()


def _first_ensemble(outputs: int = 32) -> Ensemble:
    return Ensemble(f"first layer, {outputs} units", "identity", (), outputs, SIGMA_W, SIGMA_B, 1024)


def _one_hidden(activation: str, width: int = WIDTH, outputs: int = 4) -> Ensemble:
    return Ensemble(
        f"one hidden layer, {activation}, width {width}", activation, (width,), outputs, SIGMA_W, SIGMA_B, 1024
    )


def _two_hidden(activation: str, width: int) -> Ensemble:
    return Ensemble(
        f"two hidden layers, {activation}, width {width}", activation, (width, width), 1, SIGMA_W, SIGMA_B, 256
    )


def _net(activation: str, hidden_layers: int) -> MLP:
    return MLP(activation, hidden_layers, SIGMA_W, SIGMA_B)


def _at(matrix: FloatArray, inputs: Inputs) -> FloatArray:
    return np.asarray(matrix)[inputs.pairs]


def _scale(matrix: FloatArray, inputs: Inputs) -> FloatArray:
    """Return sqrt(K(x,x) K(x',x')) at the pairs, 1 where that is 0 and only exact equality will do."""
    diagonal = np.sqrt(np.diag(matrix))
    rows, columns = inputs.pairs
    product = diagonal[rows] * diagonal[columns]
    return np.where(product > 0, product, 1.0)


def _both(labels: tuple[str, ...]) -> tuple[str, ...]:
    return labels + tuple(f"{label}, k ≠ k'" for label in labels)


def _plan(
    claim: Claim,
    check: str,
    ensemble: Ensemble,
    statistic: str,
    value: Callable[[Term], FloatArray],
    scale: FloatArray,
    labels: tuple[str, ...],
    resolution: float,
    unit: str,
    centre: FloatArray | None = None,
    note: str = "",
) -> Plan:
    """Return the plan that compares the mean of one statistic with the value of the claim's statement."""
    target = value(claim.statement())
    mutants = tuple(PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
    planned = Statistic(statistic, np.empty(0) if centre is None else centre, target, scale)
    return Plan(
        claim.id,
        check,
        "monte_carlo",
        (Part(1.0, ensemble, planned),),
        labels,
        mutants,
        0.0,
        _resolved(resolution, mutants),
        unit,
        note,
    )


def _resolved(resolution: float, mutants: tuple[PlannedMutant, ...], allowed: float = 0.0) -> float:
    """Return the resolution, or less where a mutant is nearer: no mutant may lie in the zone of indifference.

    A mutant that is inside what the claim itself allows, or beyond reach, cannot be resolved; unless it happens to be
    excluded, it survives and leaves the check inconclusive.
    """
    distances = [m.largest for m in mutants if m.largest > max(allowed, resolution / REACH)]
    return min([resolution, *distances])


def _expression(term: Term) -> Expression:
    if isinstance(term, GaussianProcess):
        return term.covariance
    if not isinstance(term, Expression):
        raise TypeError(f"expected an expression, got a {type(term).__name__}")
    return term


def _first_layer_values(net: MLP, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
    return net.nngp(inputs.x), net.between_outputs(inputs.x)[0]


def _first_moments(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = _net("identity", 0)

    def value(term: Term) -> FloatArray:
        same, different = _first_layer_values(net.with_recursion(first_kernel=_expression(term)), inputs)
        return np.concatenate([_at(same, inputs), _at(different, inputs)])

    scale = np.tile(_scale(net.nngp(inputs.x), inputs), 2)
    unit = "relative to sqrt(K(x,x) K(x',x'))"
    return (
        _plan(
            claim, "first layer", _first_ensemble(), "second moments of units", value, scale, _both(inputs.pair_labels),
            resolution, unit,
        ),
    )  # fmt: skip


def _first_law(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = _net("identity", 0)

    def value(term: Term) -> FloatArray:
        same, different = _first_layer_values(net.with_recursion(first_kernel=_expression(term)), inputs)
        squares = np.multiply.outer(np.diag(same), np.diag(same))
        return np.concatenate([_at(squares + 2 * same**2, inputs), _at(squares + 2 * different**2, inputs)])

    claimed = value(claim.statement())
    scale = np.where(claimed > 0, claimed, 1.0)
    unit = "relative to the fourth moment itself"
    note = (
        "fourth moments at pairs of inputs and of units, by the pairings of a Gaussian process with independent units"
    )
    return (
        _plan(
            claim, "first layer", _first_ensemble(), "fourth moments of units", value, scale,
            _both(inputs.pair_labels), resolution, unit, note=note,
        ),
    )  # fmt: skip


def _first_tangent(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    net = _net("identity", 0)

    def value(term: Term) -> FloatArray:
        changed = net.with_recursion(first_tangent=_expression(term))
        same, different = changed.ntk(inputs.x), changed.between_outputs(inputs.x)[1]
        return np.concatenate([_at(same, inputs), _at(different, inputs)])

    scale = np.tile(_scale(net.ntk(inputs.x), inputs), 2)
    note = "not random: every network shows the same kernel, which is compared up to rounding"
    return (
        _plan(
            claim, "first layer", _first_ensemble(3), "ntk", value, scale, _both(inputs.pair_labels), resolution,
            "relative to sqrt(K(x,x) K(x',x'))", note=note,
        ),
    )  # fmt: skip


def _on_one_hidden_layer(
    claim: Claim, inputs: Inputs, resolution: float, statistic: str, tangent: bool, between: bool
) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = _net(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            changed = net.with_recursion(**{claim.slot: _expression(term)})
            same = _at(changed.kernels(inputs.x)[int(tangent)], inputs)
            if not between:
                return same
            return np.concatenate([same, _at(changed.between_outputs(inputs.x)[int(tangent)], inputs)])

        scale = _scale(net.kernels(inputs.x)[int(tangent)], inputs)
        labels = inputs.pair_labels
        kernel = "Theta" if tangent else "K"
        plans.append(
            _plan(
                claim, f"one hidden layer, {activation}, width {WIDTH}", _one_hidden(activation), statistic, value,
                np.tile(scale, 2) if between else scale, _both(labels) if between else labels, resolution,
                f"relative to sqrt({kernel}(x,x) {kernel}(x',x'))", note="exact at this width",
            )
        )  # fmt: skip
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
        net = _net(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            same, different = (
                _at(law(net, inputs.x, WIDTH, _expression(term), equal), inputs) for equal in (True, False)
            )
            return np.concatenate([same, different]) if tangent else same

        exact = value(claim.statement())
        kernel = _at(net.kernels(inputs.x)[int(tangent)], inputs)
        labels = inputs.pair_labels
        plans.append(
            _plan(
                claim, f"one hidden layer, {activation}, width {WIDTH}", _one_hidden(activation),
                f"squared spread of {'ntk' if tangent else 'nngp'}", value, np.where(exact > 0, exact, 1.0),
                _both(labels) if tangent else labels, resolution, "relative to the variance itself",
                centre=np.concatenate([kernel, np.zeros_like(kernel)]) if tangent else kernel,
                note="squared deviations from the exact mean; exact at this width",
            )
        )  # fmt: skip
    return tuple(plans)


FOURTH_MOMENTS = 2.5
"""How much coarser fourth moments and covariances of kernels are resolved than kernels (chosen: they spread more)."""


def _kernel_covariance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = _net(activation, 1)
        laws = layer_two(net, inputs.x, WIDTH)

        def value(term: Term, net: MLP = net) -> FloatArray:
            return _at(law(net, inputs.x, WIDTH, _expression(term), True), inputs)

        product = _at(laws.nngp_variance * laws.tangent_variance, inputs)
        plans.append(
            _plan(
                claim, f"one hidden layer, {activation}, width {WIDTH}", _one_hidden(activation),
                "product of deviations of nngp and ntk", value, np.where(product > 0, np.sqrt(product), 1.0),
                inputs.pair_labels, FOURTH_MOMENTS * resolution, "relative to the product of the standard deviations",
                centre=np.stack([_at(kernel, inputs) for kernel in net.kernels(inputs.x)]), note="exact at this width",
            )
        )  # fmt: skip
    return tuple(plans)


def _output_moments(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    plans = []
    for activation in ACTIVATIONS:
        net = _net(activation, 1)

        def value(term: Term, net: MLP = net) -> FloatArray:
            of_units = (law(net, inputs.x, WIDTH, _expression(term), equal) for equal in (True, False))
            return np.concatenate([_at(moments, inputs) for moments in of_units])

        exact = value(claim.statement())
        plans.append(
            _plan(
                claim, f"one hidden layer, {activation}, width {WIDTH}", _one_hidden(activation),
                "fourth moments of units", value, np.where(exact > 0, exact, 1.0), _both(inputs.pair_labels),
                FOURTH_MOMENTS * resolution, "relative to the moment itself", note="exact at this width",
            )
        )  # fmt: skip
    return tuple(plans)


def _kernel_variance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return (*_variance(claim, inputs, resolution, tangent=False), *_rates(claim, inputs, 1, tangent=False))


def _tangent_variance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return (*_variance(claim, inputs, resolution, tangent=True), *_rates(claim, inputs, 1, tangent=True))


def _extrapolated(claim: Claim, inputs: Inputs, resolution: float, tangent: bool) -> tuple[Plan, ...]:
    """Return plans for the limit of the mean: two widths combined so that the term in 1/N cancels."""
    small, large = DEEP_WIDTHS[0], DEEP_WIDTHS[-1]
    plans = []
    for activation in ACTIVATIONS:
        net = _net(activation, 2)
        scale = _scale(net.kernels(inputs.x)[int(tangent)], inputs)

        def value(term: Term, net: MLP = net) -> FloatArray:
            return _at(net.with_recursion(**{claim.slot: _expression(term)}).kernels(inputs.x)[int(tangent)], inputs)

        target = value(claim.statement())
        mutants = tuple(PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
        statistic = Statistic("ntk" if tangent else "nngp", np.empty(0), target, scale)
        weights = -small / (large - small), large / (large - small)
        parts = tuple(
            Part(weight, _two_hidden(activation, width), statistic)
            for weight, width in zip(weights, (small, large), strict=True)
        )
        kernel = "Theta" if tangent else "K"
        plans.append(
            Plan(
                claim.id, f"two hidden layers, {activation}, widths {small} and {large}", "monte_carlo", parts,
                inputs.pair_labels, mutants, MODEL_ERROR, _resolved(resolution, mutants, MODEL_ERROR),
                f"relative to sqrt({kernel}(x,x) {kernel}(x',x'))",
                "means at two widths combined so that the term in 1/N cancels; model-based: the next term is allowed",
            )
        )  # fmt: skip
    return tuple(plans)


def _rates(claim: Claim, inputs: Inputs, hidden_layers: int, tangent: bool) -> tuple[Plan, ...]:
    """Return plans for the exponent of the root mean square error along widths, with the exact line if it is known."""
    plans = []
    for activation in ACTIVATIONS:
        net = _net(activation, hidden_layers)
        scale = _scale(net.kernels(inputs.x)[int(tangent)], inputs)
        stated = {claim.slot: _expression(claim.statement())} if claim.slot in ("kernel", "tangent") else {}
        limit = _at(net.with_recursion(**stated).kernels(inputs.x)[int(tangent)], inputs)
        centre = np.stack([limit, scale])
        statistic = Statistic(f"squared error of {'ntk' if tangent else 'nngp'}", centre, np.ones(1), np.ones(1))
        ensembles = [
            _one_hidden(activation, width) if hidden_layers == 1 else _two_hidden(activation, width)
            for width in DEEP_WIDTHS
        ]
        predicted: tuple[float, ...] = ()
        if hidden_layers == 1:
            laws = layer_two(net, inputs.x, 1)
            variances = [laws.tangent_variance, laws.cross_variance] if tangent else [laws.nngp_variance]
            mean = np.mean([_at(v, inputs) / scale**2 for v in variances])
            predicted = tuple(float(np.sqrt(mean / width)) for width in DEEP_WIDTHS)
        mutants = tuple(
            PlannedMutant(name, np.array([rate - RATE]))
            for name, rate in (("the fluctuations do not shrink", 0.0), ("they shrink like 1/N", -1.0))
        )
        depth = "one hidden layer" if hidden_layers == 1 else "two hidden layers"
        parts = tuple(Part(1.0, ensemble, statistic) for ensemble in ensembles)
        plans.append(
            Plan(
                claim.id, f"rate, {depth}, {activation}", "convergence", parts,
                ("exponent of the root mean square error",), mutants, RATE_ALLOWED, RATE_RESOLUTION,
                "difference from the exponent -1/2",
                "model-based: root mean square error fitted by a + p log N + c/N",
                predicted,
            )
        )  # fmt: skip
    return tuple(plans)


def _deep_kernel(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return (*_extrapolated(claim, inputs, resolution, tangent=False), *_rates(claim, inputs, 2, tangent=False))


def _deep_tangent(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    return (*_extrapolated(claim, inputs, resolution, tangent=True), *_rates(claim, inputs, 2, tangent=True))


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
    Observable.DEEP_KERNEL: _deep_kernel,
    Observable.DEEP_TANGENT_KERNEL: _deep_tangent,
}
