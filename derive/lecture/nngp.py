"""Section 3: covariance and law of the pre-activations, exact where they are, and the NNGP recursion (eqs 14-34, 58).

Sources: Neal 1994; Lee et al. 2017 (arXiv:1711.00165); the route by the conditional law given the layer below is that
of Matthews et al. 2018 (arXiv:1804.11271) with sequential limits.
"""

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Printed, Status
from derive.laws import GaussianProcess
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER, X, Y
from derive.model import Model
from derive.notation import input_dimension, layer, sigma_b, sigma_w, width
from derive.rules import (
    collapse,
    counting,
    fold,
    gaussian_law,
    gaussian_mixture,
    identical_units,
    independence,
    induction,
    isserlis,
    law_of_large_numbers,
    linearity,
    unfold,
)
from derive.rules.inference import scalar_of
from derive.terms import Expression, Index, atom, constant, delta, mean, total
from derive.theorem import Theorem, reflexivity


def _second_moment(model: Model, of_layer: sp.Expr | int, given: tuple[str, ...] = ()) -> Expression:
    k, m = (Index(name, width(of_layer + 1)) for name in ("k", "k'"))
    return mean(atom("z", k, at=(X,), layer=of_layer) * atom("z", m, at=(Y,), layer=of_layer), given)


@cache
def layer1_covariance() -> Theorem:
    """Return eqs 14 and 17: the covariance of two units of the first layer at two inputs, exact."""
    theorem = reflexivity(_second_moment(FIRST_LAYER, 1), FIRST_LAYER)
    return (
        theorem.by(unfold, "z")
        .by(linearity)
        .by(independence)
        .by(isserlis)
        .by(collapse)
        .by(fold, FIRST_LAYER.definition("dot", None))
    )


@cache
def layer1_law() -> Theorem:
    """Return eqs 15, 16, 18 and 19: the first layer is exactly a Gaussian process, its units independent."""
    return gaussian_law(layer1_covariance())


@cache
def covariance() -> Theorem:
    """Return the covariance of two units of layer l: exact at every width, given iid units below (eq 29)."""
    theorem = reflexivity(_second_moment(DEEPER_LAYER, layer), DEEPER_LAYER)
    return (
        theorem.by(unfold, "z")
        .by(linearity)
        .by(independence)
        .by(isserlis)
        .by(collapse)
        .by(identical_units)
        .by(counting)
    )


@cache
def conditional_covariance() -> Theorem:
    """Return the covariance of two units given the layer below: the empirical NNGP kernel, exact and random."""
    theorem = reflexivity(_second_moment(DEEPER_LAYER, layer, given=("phi", "dphi")), DEEPER_LAYER)
    return theorem.by(unfold, "z").by(linearity).by(independence).by(isserlis).by(collapse)


@cache
def kernel_limit() -> Theorem:
    """Return the limit of the empirical NNGP kernel as the width below grows: the right side of covariance()."""
    return conditional_covariance().by(law_of_large_numbers, width(layer))


@cache
def conditional_law() -> Theorem:
    """Return the law of layer l given the layer below: exactly Gaussian at every width, units independent."""
    return gaussian_law(conditional_covariance())


@cache
def limit_law() -> Theorem:
    """Return the limit law of layer l: iid Gaussian processes, if the units below are (eqs 24-33, corrected)."""
    return gaussian_mixture(conditional_law(), kernel_limit())


@cache
def nngp_recursion() -> Theorem:
    """Return eqs 34 and 58: every layer is a Gaussian process in the limit, with the recursion of its covariance."""
    return induction(layer1_law(), limit_law())


def _units(of_layer: sp.Expr | int) -> tuple[Index, Index]:
    return Index("k", width(of_layer + 1)), Index("k'", width(of_layer + 1))


def first_kernel_statement() -> Expression:
    """Return the last line of eq 17, with sigma_w and for any two units (eq 14)."""
    k, m = _units(1)
    dot = atom("dot", at=(X, Y))
    statement: Expression = sigma_b**2 * delta(k, m) + (sigma_w**2 / input_dimension) * (dot * delta(k, m))
    return statement


def kernel_statement() -> Expression:
    """Return the right side of eq 58 for any two units."""
    k, m = _units(layer)
    first = Index("1", width(layer))
    product = mean(atom("phi", first, at=(X,), layer=layer - 1) * atom("phi", first, at=(Y,), layer=layer - 1))
    statement: Expression = sigma_b**2 * delta(k, m) + sigma_w**2 * (product * delta(k, m))
    return statement


def empirical_statement(scale: sp.Expr | None = None, bias: sp.Expr = sigma_b**2, head: str = "phi") -> Expression:
    """Return ``(sigma_b^2 + sigma_w^2/N_l sum_j phi_j phi'_j) delta``: the empirical kernel, which is random."""
    k, m = _units(layer)
    j = Index("j", width(layer))
    products = total(j, atom(head, j, at=(X,), layer=layer - 1) * atom(head, j, at=(Y,), layer=layer - 1))
    factor = sigma_w**2 / width(layer) if scale is None else scale
    statement: Expression = bias * delta(k, m) + factor * (products * delta(k, m))
    return statement


def _printed_middle_line() -> Expression:
    """Return the middle line of eq 17 as printed, averaged over b: the first input twice in the diagonal sum."""
    k, m = _units(1)
    p = Index("p", input_dimension)
    square = total(p, atom("input", p, at=(X,)) * atom("input", p, at=(X,)))
    wrong: Expression = sigma_b**2 * delta(k, m) + (sigma_w**2 / input_dimension) * (square * delta(k, m))
    return wrong


def kernel_mutants(statement: Expression) -> tuple[Mutant, ...]:
    """Return wrong variants of ``(sigma_b^2 + sigma_w^2 m) delta``."""

    def product(factors: object, coefficient: sp.Expr) -> bool:
        return not mutations.is_bias((), coefficient)

    return (
        Mutant("the constant of the weights is 2 % too large", mutations.only_scaled(statement, product)),
        Mutant("the whole is 2 % too small", mutations.scaled(statement, sp.Rational(49, 50))),
        Mutant("the bias is dropped", mutations.without(statement, mutations.is_bias)),
        Mutant("σ_w and σ_b are swapped", mutations.swapped_sigmas(statement)),
        Mutant(
            "σ_w stands for σ_w²",
            mutations.recoefficiented(statement, lambda c: c / sigma_w if c.has(sigma_w) else c),
        ),
    )


def shared_bias(statement: Expression) -> Mutant:
    """Return the variant whose units have one bias in common, so that different ones are correlated."""
    return Mutant("all units share one bias", mutations.without_deltas(statement, mutations.is_bias))


def as_processes(mutants: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    """Return variants of a covariance as variants of the Gaussian process that has it."""
    return tuple(Mutant(m.name, GaussianProcess(m.statement)) for m in mutants if isinstance(m.statement, Expression))


def layer_off_by_one() -> Mutant:
    """Return the variant with the kernel of the layer below in place of the mean of its activations."""
    k, m = _units(layer)
    below = atom("K", at=(X, Y), layer=layer - 1)
    wrong = sigma_b**2 * constant(1) + sigma_w**2 * below
    return Mutant("the layer is off by one: Kˡ⁻¹ for the mean of activations", wrong * delta(k, m))


CLAIMS = (
    Claim(
        id="eq17",
        title="Covariance of two units of the first layer at two inputs, exact",
        section="3.3.1",
        equation="17",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=layer1_covariance,
        statement=first_kernel_statement,
        mutants=lambda: (*kernel_mutants(first_kernel_statement()), shared_bias(first_kernel_statement())),
        observable=Observable.FIRST_LAYER_MOMENTS,
        slot="first_kernel",
        printed=Printed(
            latex=r"\sum_{j} \mathbb{E}\left[(W^{1}_{k j})^{2}\right] x_{j} x_{j} + \sigma_{b}^{2}",
            correction="the second factor of the diagonal sum is the component of the other input",
            evaluate=_printed_middle_line,
            why="a product of the values at x and at x' has one factor from each; b_k² stands for its mean",
        ),
    ),
    Claim(
        id="eq18",
        title="The first layer is exactly a Gaussian process with independent units",
        section="3.3.1",
        equation="18",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=layer1_law,
        statement=lambda: GaussianProcess(first_kernel_statement()),
        mutants=lambda: as_processes(
            (*kernel_mutants(first_kernel_statement()), shared_bias(first_kernel_statement()))
        ),
        observable=Observable.FIRST_LAYER_LAW,
        rests_on=("eq17",),
    ),
    Claim(
        id="nngp.unit-covariance",
        title="Covariance of two units of a deeper layer, exact at every width given iid units below",
        section="3.4",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=covariance,
        statement=kernel_statement,
        mutants=lambda: (
            *kernel_mutants(kernel_statement()),
            layer_off_by_one(),
            shared_bias(kernel_statement()),
        ),
        observable=Observable.UNIT_COVARIANCE,
        slot="kernel",
    ),
    Claim(
        id="nngp.kernel-limit",
        title="The empirical NNGP kernel tends to the kernel of the limit (law of large numbers)",
        section="3.4",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=kernel_limit,
        statement=kernel_statement,
        mutants=lambda: (*kernel_mutants(kernel_statement()), layer_off_by_one()),
        observable=Observable.KERNEL,
        rests_on=("nngp.unit-covariance",),
        slot="kernel",
    ),
    Claim(
        id="eq34",
        title="Every layer tends to a Gaussian process, and its covariance obeys the NNGP recursion",
        section="3.4.4",
        equation="34",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp_recursion,
        statement=lambda: scalar_of(kernel_statement()),
        derived=lambda theorem: theorem.where[-1].value,
        mutants=lambda: tuple(
            Mutant(m.name, scalar_of(m.statement))
            for m in (*kernel_mutants(kernel_statement()), layer_off_by_one())
            if isinstance(m.statement, Expression)
        ),
        observable=Observable.DEEP_KERNEL,
        rests_on=("eq18", "nngp.kernel-limit"),
        slot="kernel",
    ),
)
