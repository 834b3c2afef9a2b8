"""The class of activations whose duals have closed forms: sums of ``z^m exp(alpha z^2) s(z)``, s one of 1, sgn, erf.

The class is closed under differentiation up to Dirac deltas, which appear as a fourth kind of factor in the weak
derivative of sgn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import sympy as sp

from derive.notation import z


class NotInClass(ValueError):
    """An activation outside the class; the message names the part that is."""


class Kind(Enum):
    """The factor that makes a term even or odd, smooth or kinked."""

    ONE = "1"
    SIGN = "sgn"
    ERF = "erf"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Factor:
    """The factor s(z): 1, sgn z, erf(scale z) or delta(z); ``scale`` is 0 except for erf."""

    kind: Kind
    scale: sp.Expr = sp.S.Zero


ONE, SIGN, DELTA = Factor(Kind.ONE), Factor(Kind.SIGN), Factor(Kind.DELTA)


@dataclass(frozen=True, slots=True)
class Monomial:
    """One term ``z^power exp(decay z^2) s(z)`` without its coefficient."""

    power: int
    decay: sp.Expr
    factor: Factor


Function = Mapping[Monomial, sp.Expr]
"""A function of the class: coefficients of monomials."""


def _collected(terms: Iterable[tuple[Monomial, sp.Expr]]) -> Function:
    result: dict[Monomial, sp.Expr] = defaultdict(lambda: sp.S.Zero)
    for monomial, coefficient in terms:
        result[monomial] += coefficient
    return {m: sp.expand(k) for m, k in result.items() if sp.expand(k) != 0}


def parse(expression: sp.Expr) -> Function:
    """Return a SymPy expression in z as a function of the class.

    Raises:
        NotInClass: if a part of it is not of the form ``z^m exp(alpha z^2) s(z)`` with alpha <= 0.
    """
    signed = expression.replace(sp.Max, _maximum).replace(sp.Abs, lambda x: x * sp.sign(x))
    signed = signed.replace(sp.Heaviside, lambda x, *_: (1 + sp.sign(x)) / 2).replace(sp.sign, _sign_at_zero)
    return _collected(_term(term) for term in sp.Add.make_args(sp.expand(signed)))


def _maximum(*arguments: sp.Expr) -> sp.Expr:
    if len(arguments) != 2:
        raise NotInClass(f"a maximum of {len(arguments)} functions is outside the class")
    first, second = arguments
    return (first + second + sp.Abs(first - second)) / 2


def _sign_at_zero(argument: sp.Expr) -> sp.Expr:
    slope = sp.cancel(argument / z)
    if slope.is_positive or slope.is_negative:
        return sp.sign(z) if slope.is_positive else -sp.sign(z)
    raise NotInClass(f"the threshold of sign({argument}) is not at 0")


def _term(term: sp.Expr) -> tuple[Monomial, sp.Expr]:
    coefficient, power, decay, factor = sp.S.One, 0, sp.S.Zero, ONE
    for part in sp.Mul.make_args(term):
        base, exponent = part.as_base_exp()
        if not part.has(z):
            coefficient *= part
        elif base == z and exponent.is_Integer and exponent > 0:
            power += int(exponent)
        elif isinstance(part, sp.exp):
            alpha = sp.cancel(part.args[0] / z**2)
            if alpha.has(z) or not alpha.is_nonpositive:
                raise NotInClass(f"{part} is not of the form exp(alpha z^2) with alpha <= 0")
            decay += alpha
        elif base == sp.sign(z) and exponent.is_Integer:
            if exponent % 2:
                factor = _only(factor, SIGN, term)
        elif isinstance(base, sp.erf) and exponent == 1:
            scale = sp.cancel(base.args[0] / z)
            if scale.has(z) or not (scale.is_positive or scale.is_negative):
                raise NotInClass(f"{base} is not of the form erf(gamma z)")
            coefficient *= 1 if scale.is_positive else -1
            factor = _only(factor, Factor(Kind.ERF, sp.Abs(scale)), term)
        else:
            raise NotInClass(f"{part} is outside the class of z^m exp(alpha z^2) with 1, sgn z or erf(gamma z)")
    return Monomial(power, decay, factor), coefficient


def _only(present: Factor, new: Factor, term: sp.Expr) -> Factor:
    if present != ONE:
        raise NotInClass(f"{term} has two factors of sgn or erf")
    return new


def factor_derivative(factor: Factor) -> tuple[tuple[Monomial, sp.Expr], ...]:
    """Return the weak derivative of s: ``sgn' = 2 delta`` and ``erf(g z)' = 2g/sqrt(pi) exp(-g^2 z^2)``."""
    match factor.kind:
        case Kind.ONE:
            return ()
        case Kind.SIGN:
            return ((Monomial(0, sp.S.Zero, DELTA), sp.Integer(2)),)
        case Kind.ERF:
            return ((Monomial(0, -(factor.scale**2), ONE), 2 * factor.scale / sp.sqrt(sp.pi)),)
        case Kind.DELTA:
            raise NotInClass("the derivative of a Dirac delta is outside the class")


def derivative(function: Function, weak: bool = False) -> Function:
    """Return the derivative of a function: pathwise (what backpropagation uses), or weak, with Dirac deltas."""
    terms: list[tuple[Monomial, sp.Expr]] = []
    for monomial, k in function.items():
        m, alpha, s = monomial.power, monomial.decay, monomial.factor
        if m:
            terms.append((Monomial(m - 1, alpha, s), m * k))
        if alpha != 0:
            terms.append((Monomial(m + 1, alpha, s), 2 * alpha * k))
        for inner, scale in factor_derivative(s):
            if inner.factor == DELTA and (m or not weak):  # z^m delta = 0; the pathwise derivative has no deltas
                continue
            terms.append((Monomial(m + inner.power, alpha + inner.decay, inner.factor), k * scale))
    return _collected(terms)
