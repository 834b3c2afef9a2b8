"""What is measured for the laws of deep networks that are cited: exact ones at one input, and coefficients of 1/N."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim
from derive.laws import Quantity
from derive.lecture.deep_networks import N
from derive.terms import Term
from numeric.exact_chains import ChainLaw, bounded_chain, relu_chain
from numeric.kernels import MLP
from numeric.leading_order import LeadingOrder, leading_order
from verify.ensembles import CONTROL_VARIATE, Ensemble, Statistic, moment_name
from verify.inputs import Inputs
from verify.planning import (
    ACTIVATIONS,
    DEEP_WIDTHS,
    SIGMA_B,
    SIGMA_W,
    Part,
    Plan,
    PlannedMutant,
    at_pairs,
    network,
    networks_in_a_block,
    plan_of_mean,
    resolved,
)

FloatArray = NDArray[np.float64]

CHAIN_WIDTHS = {"relu": (24, 16, 32), "erf": (8, 6, 10)}
"""Unequal widths of three hidden layers; those of relu are wider, since deep narrow relu networks have heavy tails."""
FIXED = 4
"""Width of a first layer that does not grow with the second; chosen: far from the limit."""
COEFFICIENT_WIDTHS = 16, 64
COEFFICIENT_ALLOWED, COEFFICIENT_RESOLUTION = 0.05, 0.2
"""Relative error allowed to an extrapolated coefficient, for terms in 1/N^2 of a coefficient of about 50 over the
product of the widths, and the deviation that must not pass; chosen, so that these checks are model-based."""
BIAS_ALLOWED, BIAS_RESOLUTION = 0.1, 0.25
"""The same for a bias, relative to the largest one; chosen: biases are small beside the fluctuations."""
SPREADS = 5.0
"""How much coarser variances of deep networks are resolved than means (chosen: squares spread more)."""
NO_PART = 1e15
"""Width of a layer, in units of N, that takes no part; chosen."""


def _three_hidden(activation: str) -> Ensemble:
    widths = CHAIN_WIDTHS[activation]
    name = f"three hidden layers, {activation}, widths {', '.join(map(str, widths))}"
    return Ensemble(name, activation, widths, 2, SIGMA_W, SIGMA_B, 512)


def deep_ensemble(activation: str, width: int) -> Ensemble:
    """Return networks with two hidden layers and several outputs, few in a block if they are wide.

    More outputs show more of a narrow network at little cost; of a wide one they cost more than they show.
    """
    outputs = 4 if width <= DEEP_WIDTHS[-1] else 2
    name = f"two hidden layers, {activation}, width {width}, {outputs} outputs"
    return Ensemble(name, activation, (width, width), outputs, SIGMA_W, SIGMA_B, networks_in_a_block(width, 512))


def half_fixed(activation: str, width: int) -> Ensemble:
    """Return networks with two hidden layers, the first as narrow as it is in all of them."""
    name = f"two hidden layers, {activation}, widths {FIXED} and {width}"
    return Ensemble(name, activation, (FIXED, width), 1, SIGMA_W, SIGMA_B, networks_in_a_block(width, 512))


def _kernel(claim: Claim) -> str:
    if claim.slot == "cross_variance":
        return "ntk between outputs"
    return "nngp" if claim.slot.startswith("nngp") else "ntk"


def _quantity(term: Term) -> Quantity:
    if not isinstance(term, Quantity):
        raise TypeError(f"expected a quantity, got a {type(term).__name__}")
    return term


@cache
def _chain(activation: str, inputs: Inputs) -> ChainLaw:
    chain = relu_chain if activation == "relu" else bounded_chain
    return chain(network(activation, 3), inputs.x, CHAIN_WIDTHS[activation])


def coefficients(net: MLP, inputs: Inputs, ratios: tuple[float, ...] | None = None) -> LeadingOrder:
    """Return the coefficients of 1/N, which several claims ask for."""
    return _coefficients(net, inputs.x.tobytes(), inputs.x.shape, ratios)


@cache
def _coefficients(net: MLP, x: bytes, shape: tuple[int, ...], ratios: tuple[float, ...] | None) -> LeadingOrder:
    return leading_order(net, np.frombuffer(x).reshape(shape), ratios)


def one_input(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return plans for an exact law at every single input, for the activations that have it."""
    plans = []
    spread = claim.slot.endswith("variance")
    for activation in ACTIVATIONS:
        law = _chain(activation, inputs)
        if not hasattr(law, claim.slot):
            continue

        def value(term: Term, law: ChainLaw = law) -> FloatArray:
            quantity = _quantity(term)
            return np.asarray(float(quantity.factor) * getattr(law, quantity.name), dtype=float)

        exact = value(claim.statement())
        kernel = _kernel(claim)
        means = {"nngp": law.nngp_mean, "ntk": law.tangent_mean}
        centre = np.asarray(means[kernel]) if spread and kernel in means else np.zeros_like(exact)
        plans.append(
            plan_of_mean(
                claim,
                _three_hidden(activation).name,
                _three_hidden(activation),
                moment_name(kernel, 2 if spread else 1, single=True),
                value,
                np.where(exact > 0, exact, 1.0),
                inputs.labels,
                (SPREADS if spread else 1.0) * resolution,
                "relative to the value itself",
                centre=centre,
                note="exact at these widths",
            )
        )
    return tuple(plans)


def coefficient(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return plans for a coefficient of 1/N: two widths combined so that the term in 1/N^2 cancels."""
    small, large = COEFFICIENT_WIDTHS
    weights = -small / (large - small), large / (large - small)
    bias = claim.slot.endswith("bias")
    kernel = _kernel(claim)
    statistic = CONTROL_VARIATE if bias else moment_name(kernel, 2, single=False)
    plans = []
    for activation in ACTIVATIONS:
        net = network(activation, 2)

        def value(term: Term, net: MLP = net) -> FloatArray:
            quantity = _quantity(term)
            ratios = (NO_PART, 1.0) if quantity.last_layer_only else None
            values = getattr(coefficients(net, inputs, ratios), quantity.name)
            return np.asarray(float(quantity.factor) * at_pairs(values, inputs))

        target = value(claim.statement())
        nngp, ntk = (at_pairs(limit, inputs) for limit in net.kernels(inputs.x))
        centre = {"nngp": nngp, "ntk": ntk}.get(kernel, np.zeros_like(ntk))
        scale = np.full_like(target, np.abs(target).max()) if bias else np.where(target > 0, target, 1.0)
        mutants = tuple(PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
        parts = tuple(
            Part(weight, deep_ensemble(activation, width), Statistic(statistic, centre, target / width, scale / width))
            for weight, width in zip(weights, (small, large), strict=True)
        )
        allowed, least = (BIAS_ALLOWED, BIAS_RESOLUTION) if bias else (COEFFICIENT_ALLOWED, COEFFICIENT_RESOLUTION)
        plans.append(
            Plan(
                claim.id,
                f"two hidden layers, {activation}, widths {small} and {large}",
                "monte_carlo",
                parts,
                inputs.pair_labels,
                mutants,
                allowed,
                resolved(least, mutants, allowed),
                "relative to the largest coefficient" if bias else "relative to the coefficient itself",
                f"{N} times the statistic at two widths combined so that the next order cancels; model-based: the one "
                "after that is allowed",
            )
        )
    return tuple(plans)
