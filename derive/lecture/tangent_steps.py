"""Sections 4.6.1 and 4.6.2 step by step: theorems from the left sides of eqs 47-58, and their right sides as terms."""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.claim import Mutant
from derive.lecture.networks import DEEPER_LAYER, X, Y, tangent_hypothesis
from derive.lecture.ntk import inherited_term_exact
from derive.notation import layer, parameter_count, sigma_b, sigma_w, width
from derive.rules import collapse, differentiate, hypothesis, isserlis, law_of_large_numbers, linearity, unfold
from derive.terms import Atom, Expression, Index, atom, delta, mean, partial, total
from derive.theorem import Theorem, reflexivity

K, M = (Index(name, width(layer + 1)) for name in ("k", "k'"))
J, N, ONE = (Index(name, width(layer)) for name in ("j", "j'", "1"))
P = Index("p", parameter_count(layer - 1))
SQUARED = sigma_w**2 / width(layer)
ROOT = sigma_w / sp.sqrt(width(layer))


def _w(row: Index, column: Index) -> Expression:
    return atom("W", row, column, layer=layer)


def _phi(unit: Index, x: str, head: str = "phi") -> Expression:
    return atom(head, unit, at=(x,), layer=layer - 1)


def _slopes(j: Index, n: Index, head: str = "dphi") -> Expression:
    return _phi(j, X, head) * _phi(n, Y, head)


def affine_statement(scale: sp.Expr = ROOT, bias: sp.Expr = sigma_b) -> Expression:
    """Return the right side of eqs 39 and 47."""
    result: Expression = scale * total(J, _w(K, J) * _phi(J, X)) + bias * atom("b", K, layer=layer)
    return result


@cache
def unit() -> Theorem:
    """Return eqs 39 and 47: a unit of layer l as an affine function of the activations below."""
    return reflexivity(atom("z", K, at=(X,), layer=layer), DEEPER_LAYER).by(unfold, "z")


@cache
def split() -> Theorem:
    """Return eq 48: the parameters of a layer and those below it."""
    return reflexivity(atom("Theta", K, M, at=(X, Y), layer=layer), DEEPER_LAYER).by(unfold, "Theta")


@cache
def chain_rule() -> Theorem:
    """Return eq 50: the derivative of a unit by a parameter of the layers below."""
    by = Atom("theta", (P,), (), layer - 1)
    theorem = reflexivity(partial(atom("z", K, at=(X,), layer=layer), by), DEEPER_LAYER)
    return theorem.by(unfold, "z").by(differentiate)


@cache
def product_of_sums() -> Theorem:
    """Return eq 51: the inherited part as a sum over parameters and pairs of hidden units."""
    theorem = reflexivity(atom("Theta_inherited", K, M, at=(X, Y), layer=layer), DEEPER_LAYER)
    return theorem.by(unfold, "Theta_inherited", "z").by(differentiate)


@cache
def diagonal_below() -> Theorem:
    """Return eq 52: the inherited part once the tangent kernel below is at its limit."""
    return inherited_term_exact().by(hypothesis, tangent_hypothesis(DEEPER_LAYER)).by(collapse)


def average_statement(head: str = "dphi", factor: sp.Expr = SQUARED) -> Expression:
    """Return the average of eq 55."""
    result: Expression = factor * total(J, _w(K, J) * _w(M, J) * _slopes(J, J, head))
    return result


@cache
def average_limit() -> Theorem:
    """Return the limit of the average of eq 55, by the law of large numbers."""
    return reflexivity(average_statement(), DEEPER_LAYER).by(law_of_large_numbers, width(layer))


@cache
def weights_moment() -> Theorem:
    """Return eq 54: the second moment of two weights on one hidden unit."""
    theorem = reflexivity(mean(_w(K, ONE) * _w(M, ONE)), DEEPER_LAYER)
    return theorem.by(isserlis).by(collapse)


@cache
def averaged_over_weights() -> Theorem:
    """Return the mean of eq 55 over the weights, the units below held fixed (eq 56)."""
    theorem = reflexivity(mean(average_statement(), ("phi", "dphi")), DEEPER_LAYER)
    return theorem.by(linearity).by(isserlis).by(collapse)


def named_kernel(head: str) -> Theorem:
    """Return eqs 57 and 58: a kernel of layer l as its definition."""
    return reflexivity(atom(head, at=(X, Y), layer=layer), DEEPER_LAYER).by(unfold, head)


def mean_statement(head: str, factor: sp.Expr = sigma_w**2, bias: sp.Expr = sp.S.Zero) -> Expression:
    """Return ``bias + factor E[f(u) f(v)]`` of one unit of the layer below."""
    one = Expression([((), (), bias)])
    result: Expression = one + factor * mean(_slopes(ONE, ONE, head))
    return result


def chain_statement(head: str = "dphi", scale: sp.Expr = ROOT) -> Expression:
    """Return the right side of eq 50."""
    gradient = atom("dz", J, P, at=(X,), layer=layer - 1)
    result: Expression = scale * total(J, _w(K, J) * _phi(J, X, head) * gradient)
    return result


def product_statement(second: Index = N, head: str = "dphi") -> Expression:
    """Return eq 51 with the index of the second sum."""
    gradients = atom("dz", J, P, at=(X,), layer=layer - 1) * atom("dz", second, P, at=(Y,), layer=layer - 1)
    summand = _w(K, J) * _w(M, second) * _slopes(J, second, head) * gradients
    inner = total(P, summand)
    result: Expression = SQUARED * total(J, inner if second == J else total(second, inner))
    return result


def double_sum(kernel: Expression, factor: sp.Expr = SQUARED, swapped: bool = False) -> Expression:
    """Return a sum over pairs of hidden units times a kernel of theirs, as in eq 52."""
    slopes = _phi(J, Y, "dphi") * _phi(N, X, "dphi") if swapped else _slopes(J, N)
    result: Expression = factor * total(J, total(N, _w(K, J) * _w(M, N) * slopes * kernel))
    return result


def below(head: str = "Theta_inf") -> Expression:
    """Return a kernel of the layer below."""
    return atom(head, at=(X, Y), layer=layer - 1)


def inherited() -> Expression:
    """Return the right side of eq 52: the average times the limit of the kernel below."""
    return average_statement() * below()


def kernel_below() -> Expression:
    """Return the empirical tangent kernel of two units of the layer below."""
    return atom("Theta", J, N, at=(X, Y), layer=layer - 1)


def limit_statement() -> Expression:
    """Return what the law of large numbers makes of the average."""
    result: Expression = sigma_w**2 * mean(_w(K, ONE) * _w(M, ONE) * _slopes(ONE, ONE))
    return result


def given_statement(bias: sp.Expr = sp.S.Zero, head: str = "dphi") -> Expression:
    """Return the mean of the average over the weights."""
    same = delta(K, M)
    result: Expression = SQUARED * (total(J, _slopes(J, J, head)) * same) + bias * same
    return result


def part(name: str) -> Expression:
    """Return a part of the tangent kernel by its name."""
    return atom(f"Theta_{name}", K, M, at=(X, Y), layer=layer)


def affine_mutants() -> tuple[Mutant, ...]:
    """Return wrong variants of eqs 39 and 47."""
    return (
        Mutant("the scale is 1/N", affine_statement(scale=sigma_w / width(layer))),
        Mutant("there is no scale: standard parameterization", affine_statement(scale=sigma_w)),
        Mutant("the bias is dropped", affine_statement(bias=sp.S.Zero)),
        Mutant("σ_b² stands for σ_b", affine_statement(bias=sigma_b**2)),
    )
