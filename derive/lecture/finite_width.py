"""Exact laws at finite width: mean and variance of the empirical kernels of one layer on iid units.

With the first layer below (l = 2) both hypotheses, iid units and a deterministic diagonal tangent kernel, hold exactly,
so these are statements about finite networks. They go beyond the lecture, which only has the limits.
"""

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable
from derive.lecture.networks import DEEPER_LAYER, X, Y
from derive.lecture.ntk import inherited_term_exact, own_term_exact
from derive.model import Hypothesis
from derive.notation import layer, sigma_b, sigma_w, width
from derive.rules import (
    by_equation,
    by_theorem,
    collapse,
    hypothesis,
    identical_units,
    independence,
    isserlis,
    linearity,
    split_diagonal,
    unfold,
)
from derive.rules.algebra import counting
from derive.terms import Expression, Index, atom, constant, delta, mean
from derive.theorem import Theorem, reflexivity


def diagonal_below() -> Hypothesis:
    """Return the hypothesis that the tangent kernel of the layer below is diagonal and not random."""
    definition = DEEPER_LAYER.definition("Theta", layer - 1)
    assert definition is not None  # the model of a deeper layer defines it
    j, n = definition.indices
    return Hypothesis(
        "deterministic tangent kernel below",
        atom("Theta", j, n, at=(X, Y), layer=layer - 1),
        "=",
        atom("Theta_inf", at=(X, Y), layer=layer - 1) * delta(j, n),
        "the tangent kernel of layer l-1 is exactly a deterministic multiple of the identity (true at l = 2)",
    )


def _entry(head: str) -> Expression:
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    return atom(head, k, m, at=(X, Y), layer=layer)


def _variance(of: Expression) -> Expression:
    return mean(of * of) - mean(of) * mean(of)


def evaluated(theorem: Theorem) -> Theorem:
    """Return the theorem with expectations over weights and units of the layer below carried out."""
    theorem = theorem.by(linearity)
    for rewriting in (independence, isserlis, collapse, split_diagonal, identical_units, counting, collapse):
        step = rewriting(theorem.rhs, theorem.model)
        if step.before.key != step.after.key:
            theorem = theorem.by(rewriting)
    return theorem


@cache
def tangent_kernel() -> Theorem:
    """Return the empirical tangent kernel of a layer on a deterministic one: exact, for every network."""
    inherited = inherited_term_exact().by(hypothesis, diagonal_below()).by(collapse)
    theorem = reflexivity(_entry("Theta"), DEEPER_LAYER).by(unfold, "Theta")
    return theorem.by(by_theorem, own_term_exact()).by(by_theorem, inherited)


@cache
def kernel_variance() -> Theorem:
    """Return the variance of the empirical NNGP kernel (the own term of the tangent kernel) at width N_l."""
    theorem = reflexivity(_variance(_entry("Theta_own")), DEEPER_LAYER)
    return evaluated(theorem.by(by_equation, own_term_exact()))


@cache
def tangent_mean() -> Theorem:
    """Return the mean of the empirical tangent kernel: its infinite-width value, at every width."""
    return evaluated(reflexivity(mean(_entry("Theta")), DEEPER_LAYER).by(by_equation, tangent_kernel()))


@cache
def tangent_variance() -> Theorem:
    """Return the variance of the empirical tangent kernel, for equal and for different outputs, at width N_l."""
    return evaluated(reflexivity(_variance(_entry("Theta")), DEEPER_LAYER).by(by_equation, tangent_kernel()))


@cache
def kernel_covariance() -> Theorem:
    """Return the covariance of the empirical NNGP kernel and the empirical tangent kernel of a layer at width N_l."""
    own, whole = _entry("Theta_own"), _entry("Theta")
    theorem = reflexivity(mean(own * whole) - mean(own) * mean(whole), DEEPER_LAYER)
    return evaluated(theorem.by(by_equation, tangent_kernel()).by(by_equation, own_term_exact()))


def _output(unit: str, x: str) -> Expression:
    return atom("z", Index(unit, width(layer + 1)), at=(x,), layer=layer)


@cache
def output_moments() -> Theorem:
    """Return the mean of the product of the squares of two outputs at two inputs: the fourth moment if they are one."""
    first, second = _output("k", X), _output("k'", Y)
    return evaluated(reflexivity(mean(first * first * second * second), DEEPER_LAYER).by(unfold, "z"))


def _powers(of_phi: int, of_dphi: int) -> Expression:
    """Return E[phi^m dphi^n at x times the same at x'] of one unit, m and n the powers."""
    first = Index("1", width(layer))
    product = Expression([((), (), sp.S.One)])
    for head, power in (("phi", of_phi), ("dphi", of_dphi)):
        for x in (X, Y):
            for _ in range(power):
                product = product * atom(head, first, at=(x,), layer=layer - 1)
    return mean(product)


def kernel_variance_statement() -> Expression:
    """Return ``sigma_w^4/N (E[phi^2 phi'^2] - E[phi phi']^2)`` for equal outputs, 0 for different ones."""
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    spread = _powers(2, 0) - _powers(1, 0) * _powers(1, 0)
    statement: Expression = (sigma_w**4 / width(layer)) * (spread * delta(k, m))
    return statement


def tangent_variance_statement() -> Expression:
    """Return ``sigma_w^4/N (Var[omega] + 2 E[delta^2])`` for equal outputs, ``sigma_w^4/N E[delta^2]`` for others.

    Here ``omega = phi phi' + delta`` and ``delta = dphi dphi' Theta^{l-1}``, functions of one unit at both inputs.
    """
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    below = atom("Theta_inf", at=(X, Y), layer=layer - 1)
    square = below * below * _powers(0, 2)
    second = _powers(2, 0) + 2 * (below * _powers(1, 1)) + square
    first = _powers(1, 0) + below * _powers(0, 1)
    equal = (second - first * first + square) * delta(k, m)
    statement: Expression = (sigma_w**4 / width(layer)) * (equal + square)
    return statement


def kernel_covariance_statement() -> Expression:
    """Return ``sigma_w^4/N (E[phi^2 phi'^2 + phi phi' delta] - E[phi phi'] (E[phi phi'] + E[delta]))``, equal outputs.

    Here ``delta = dphi dphi' Theta^{l-1}``, a function of one unit at both inputs.
    """
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    below = atom("Theta_inf", at=(X, Y), layer=layer - 1)
    spread = _powers(2, 0) + below * _powers(1, 1) - _powers(1, 0) * (_powers(1, 0) + below * _powers(0, 1))
    statement: Expression = (sigma_w**4 / width(layer)) * (spread * delta(k, m))
    return statement


def _mean_of_kernels(first: Expression, second: Expression, of_units: sp.Expr) -> Expression:
    """Return ``E[K K']`` for ``K = sigma_b^2 + sigma_w^2/N sum_j f(j)`` from E[f], E[f'], with E[f f'] = _powers(2, 0).

    Args:
        first: E[f].
        second: E[f'].
        of_units: N, the number of units of which the diagonal of the double sum has one each.
    """
    one = sigma_b**4 * constant(1) + sigma_b**2 * sigma_w**2 * (first + second)
    pairs = (1 / of_units) * _powers(2, 0) + (1 - 1 / of_units) * (first * second)
    result: Expression = one + sigma_w**4 * pairs
    return result


def _phi(x: str) -> Expression:
    return atom("phi", Index("1", width(layer)), at=(x,), layer=layer - 1)


def output_moments_statement(of_units: sp.Expr | None = None, equal: int = 2) -> Expression:
    """Return ``E[K(x,x) K(x',x')] + 2 delta E[K(x,x')^2]`` for the empirical NNGP kernel K.

    So two outputs are uncorrelated but not independent, and an output has the fourth cumulant ``3 Var K``.

    Args:
        of_units: number of units below, N_l if not given.
        equal: how many pairings there are besides that of each output with itself.
    """
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    units = width(layer) if of_units is None else of_units
    at_x, at_y = (mean(_phi(x) * _phi(x)) for x in (X, Y))
    mixed = _mean_of_kernels(_powers(1, 0), _powers(1, 0), units)
    statement: Expression = _mean_of_kernels(at_x, at_y, units) + equal * (mixed * delta(k, m))
    return statement


def _output_mutants() -> tuple[Mutant, ...]:
    n = width(layer)
    return (
        Mutant("the constant is 5 % too large", mutations.scaled(output_moments_statement(), sp.Rational(21, 20))),
        Mutant("outputs are independent and Gaussian, as in the limit", output_moments_statement(sp.oo)),
        Mutant("the dependence falls like N⁻²", output_moments_statement(n**2)),
        Mutant("one pairing of equal outputs is missing", output_moments_statement(equal=1)),
        Mutant("σ_w and σ_b are swapped", mutations.swapped_sigmas(output_moments_statement())),
    )


def _variance_mutants(statement: Expression, percent: int = 2) -> tuple[Mutant, ...]:
    n = width(layer)
    return (
        Mutant(f"the constant is {percent} % too large", mutations.scaled(statement, 1 + sp.Rational(percent, 100))),
        Mutant("the variance falls like N⁻²", mutations.scaled(statement, 1 / n)),
        Mutant("the square of the mean is not subtracted", mutations.without(statement, _is_square_of_mean)),
        Mutant("σ_w² stands for σ_w⁴", mutations.scaled(statement, sigma_w**-2)),
    )


def _is_square_of_mean(factors: tuple[object, ...], coefficient: sp.Expr) -> bool:
    return bool(coefficient.could_extract_minus_sign())


CLAIMS = (
    Claim(
        id="finite-width.nngp-variance",
        title="Variance of the empirical NNGP kernel on iid units, exact at every width",
        kind=Kind.FINITE_WIDTH,
        theorem=kernel_variance,
        statement=kernel_variance_statement,
        mutants=lambda: _variance_mutants(kernel_variance_statement()),
        observable=Observable.KERNEL_VARIANCE,
        rests_on=("nngp.unit-covariance",),
        slot="nngp_variance",
    ),
    Claim(
        id="finite-width.ntk-variance",
        title="Variance of the empirical tangent kernel on iid units, exact at every width, for any outputs",
        kind=Kind.FINITE_WIDTH,
        theorem=tangent_variance,
        statement=tangent_variance_statement,
        mutants=lambda: (
            *_variance_mutants(tangent_variance_statement()),
            Mutant(
                "the inherited term is dropped",
                mutations.without(tangent_variance_statement(), mutations.has_atom("dphi")),
            ),
        ),
        observable=Observable.TANGENT_VARIANCE,
        rests_on=("eq62",),
        slot="tangent_variance",
    ),
    Claim(
        id="finite-width.kernel-covariance",
        title="Covariance of the two empirical kernels on iid units, exact at every width",
        kind=Kind.FINITE_WIDTH,
        theorem=kernel_covariance,
        statement=kernel_covariance_statement,
        mutants=lambda: (
            *_variance_mutants(kernel_covariance_statement(), 6),
            Mutant(
                "the inherited term is dropped",
                mutations.without(kernel_covariance_statement(), mutations.has_atom("dphi")),
            ),
        ),
        observable=Observable.KERNEL_COVARIANCE,
        rests_on=("eq62",),
        slot="kernel_covariance",
    ),
    Claim(
        id="finite-width.output-moments",
        title="Outputs on iid units are uncorrelated but dependent, with fourth cumulant 3 Var K̂, at every width",
        kind=Kind.FINITE_WIDTH,
        theorem=output_moments,
        statement=output_moments_statement,
        mutants=_output_mutants,
        observable=Observable.OUTPUT_MOMENTS,
        rests_on=("nngp.unit-covariance",),
        slot="output_moments",
    ),
)
