"""Plans: what to measure for a claim, that is targets, mutants and the statistics of networks that decide between them.

A plan is fixed before anything is sampled. Its target comes from the claim's statement by lowering, its mutants'
targets from their statements by the same way, so a check can tell them apart only by what the networks show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim
from derive.laws import GaussianProcess
from derive.terms import Expression, Term
from numeric.kernels import MLP
from verify.ensembles import Ensemble, Statistic
from verify.inputs import Inputs
from verify.statistics import Interval

FloatArray = NDArray[np.float64]

SIGMA_W, SIGMA_B = 1.4, 0.3
"""Scales of the sampled networks: unequal, neither 1, so that a swap or a missing square shows."""
ACTIVATIONS = ("relu", "erf")
WIDTH = 16
"""Hidden width of the networks with exact finite-width laws: small, so that a million are cheap."""
UNITS_OF_A_BLOCK = 2**15
"""Hidden units of all networks of a block; chosen: a block takes a fraction of a second up to this width."""
DEEP_WIDTHS = (16, 32, 64, 128)
MODEL_ERROR = 1.0 / (DEEP_WIDTHS[0] * DEEP_WIDTHS[-1])
"""Allowed relative error of the extrapolated mean, one over the product of its widths. The extrapolation removes the
term in 1/N; the next is its coefficient over that product, and a coefficient of at most 1 was chosen, not derived."""
REACH = 1000.0
"""How much finer than its tier a check may become to resolve a mutant (chosen: a million times the samples)."""
EQUIVALENT = 1e-12
"""Relative distance below which a mutant is the statement itself, up to rounding (chosen)."""
RATE = -0.5
"""Exponent of the fluctuations."""


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
        rate: claimed exponent of what is fitted along the widths.
        predicted: what is fitted, as predicted at the widths.
        prediction: what the prediction is, in words.
        interval: of the means of a single part, from moments and alpha, where its values allow one that holds at every
            sample size; else it is that of means of anything.
        power: of what is followed along widths, whose means are taken: 2 for roots of mean squares.
        bound: whether the claimed exponent is the largest that is allowed, not the only one.
        axis: what is fitted, as a picture names it.
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
    rate: float = RATE
    predicted: tuple[float, ...] = ()
    prediction: str = ""
    interval: Callable[..., Interval] | None = None
    power: float = 2.0
    bound: bool = False
    axis: str = "error, relative"

    @property
    def out_of_reach(self) -> tuple[PlannedMutant, ...]:
        """Return the mutants nearer than the resolution: the check cannot confirm, however much is sampled."""
        return tuple(m for m in self.mutants if not m.equivalent and m.largest < self.resolution)

    @property
    def name(self) -> tuple[str, str]:
        """Return (claim, check), the name under which the error budget knows it."""
        return self.claim, self.check


def first_ensemble(outputs: int = 32) -> Ensemble:
    """Return networks without hidden layers."""
    return Ensemble(f"first layer, {outputs} units", "identity", (), outputs, SIGMA_W, SIGMA_B, 1024)


def one_hidden(activation: str, width: int = WIDTH, outputs: int = 4) -> Ensemble:
    """Return networks with one hidden layer of a width."""
    name = f"one hidden layer, {activation}, width {width}"
    return Ensemble(name, activation, (width,), outputs, SIGMA_W, SIGMA_B, networks_in_a_block(width, 1024))


def networks_in_a_block(width: int, most: int) -> int:
    """Return how many networks a block has: few if they are wide."""
    return max(1, min(most, UNITS_OF_A_BLOCK // width))


def network(activation: str, hidden_layers: int) -> MLP:
    """Return the network of infinite width with the scales of the sampled ones."""
    return MLP(activation, hidden_layers, SIGMA_W, SIGMA_B)


def at_pairs(matrix: FloatArray, inputs: Inputs) -> FloatArray:
    """Return the entries of a matrix at the pairs of inputs."""
    return np.asarray(matrix)[inputs.pairs]


def scale_of(matrix: FloatArray, inputs: Inputs) -> FloatArray:
    """Return sqrt(K(x,x) K(x',x')) at the pairs, 1 where that is 0 and only exact equality will do."""
    diagonal = np.sqrt(np.diag(matrix))
    rows, columns = inputs.pairs
    product = diagonal[rows] * diagonal[columns]
    return np.where(product > 0, product, 1.0)


def equal_and_different(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels of pairs for equal and, after them, for different units."""
    return labels + tuple(f"{label}, k ≠ k'" for label in labels)


def plan_of_mean(
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
    interval: Callable[..., Interval] | None = None,
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
        resolved(resolution, mutants),
        unit,
        note,
        interval=interval,
    )


def resolved(resolution: float, mutants: tuple[PlannedMutant, ...], allowed: float = 0.0) -> float:
    """Return the resolution, or less where a mutant is nearer: no mutant may lie in the zone of indifference.

    A mutant that is inside what the claim itself allows, or beyond reach, cannot be resolved; unless it happens to be
    excluded, it survives and leaves the check inconclusive.
    """
    distances = [m.largest for m in mutants if m.largest > max(allowed, resolution / REACH)]
    return min([resolution, *distances])


def expression(term: Term) -> Expression:
    """Return the expression that a statement is, or the covariance of a process.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(term, GaussianProcess):
        return term.covariance
    if not isinstance(term, Expression):
        raise TypeError(f"expected an expression, got a {type(term).__name__}")
    return term
