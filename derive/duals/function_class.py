"""The class of activations whose duals have closed forms: sums of ``z^m exp(alpha z^2 + beta z) S(z)``.

S is 1 or a *step seen through noise*, ``S(z) = P(z + n > t)`` with n centred Gaussian: without noise the step at t,
with variance ``1 / (2 gamma^2)`` it is ``(1 + erf(gamma (z - t))) / 2``. Piecewise functions are sums of steps, sgn and
erf are ``2 S - 1``, sin and cos have imaginary beta. The class is closed under differentiation up to Dirac deltas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from derive.duals.field import Field, NotRational, Ratio, field_with, generators_of
from derive.duals.normal_form import Form, constant, exponential, root
from derive.notation import z
from derive.pieces import NotPiecewise, pieces

MOST_TERMS = 60
"""More terms than this are refused (chosen: duals have their square)."""
_MOST_BEFORE_MERGING = 2000
"""The same before equal ones are merged; chosen: SymPy takes a second for more."""
HIGHEST_POWER = 64


class NotInClass(ValueError):
    """An activation outside the class; the message names the part that is."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step at a threshold seen through noise, or its derivative: a bump, without noise a Dirac delta.

    Attributes:
        threshold: where it is.
        noise: variance of the noise, 0 for a sharp step.
        delta: whether the Dirac delta at the threshold is meant instead.
    """

    threshold: Ratio
    noise: Ratio
    delta: bool = False


@dataclass(frozen=True, slots=True)
class Monomial:
    """One term ``z^power exp(alpha z^2 + beta z) S(z)`` without its coefficient; no step is S = 1."""

    power: int
    alpha: Ratio
    beta: Ratio
    step: Step | None = None


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the class.

    Attributes:
        field: what its numbers are elements of.
        terms: coefficients (constant forms) of monomials.
    """

    field: Field
    terms: Mapping[Monomial, Form]


def _function(field: Field, terms: Iterable[tuple[Monomial, Form]]) -> Function:
    merged: dict[Monomial, Form] = {}
    for monomial, coefficient in terms:
        merged[monomial] = merged.get(monomial, Form(field)) + coefficient
    return Function(field, {m: k for m, k in merged.items() if k})


def parse(expression: sp.Expr) -> Function:
    """Return a SymPy expression in z as a function of the class.

    Raises:
        NotInClass: if a part of it is outside; the message names the part.
    """
    if expression.has(sp.I):
        raise NotInClass(f"expected a real function, got {expression}")
    try:
        parts = pieces(expression)
    except NotPiecewise as error:
        raise NotInClass(str(error)) from None
    thresholds = [part.low for part in parts[1:]]
    smooth = [_exponentials(part.expression) for part in parts]
    field = field_with(generators_of([*smooth, *thresholds]))
    read = [[found for term in sp.Add.make_args(part) for found in _term(field, term)] for part in smooth]
    terms = list(read[0])
    for threshold, below, above in zip(thresholds, read, read[1:], strict=False):
        step = Step(_element(field, threshold), field.zero)
        jump = _function(field, [*above, *((monomial, -k) for monomial, k in below)])
        terms += [(_with_step(monomial, step, expression), k) for monomial, k in jump.terms.items()]
    function = _function(field, terms)
    if len(function.terms) > MOST_TERMS:
        raise NotInClass(f"expected at most {MOST_TERMS} terms, {expression} has {len(function.terms)}")
    return function


def _with_step(monomial: Monomial, step: Step, expression: sp.Expr) -> Monomial:
    if monomial.step is not None:
        raise NotInClass(f"erf on one side of a break point of {expression} is outside the class")
    if monomial.beta.has(sp.I):
        raise NotInClass(f"sin or cos on one side of a break point of {expression} is outside the class")
    return Monomial(monomial.power, monomial.alpha, monomial.beta, step)


def _exponentials(expression: sp.Expr) -> sp.Expr:
    """Return a smooth expression expanded, with trigonometric and hyperbolic functions as exponentials."""
    changed = expression.replace(sp.erfc, lambda x: 1 - sp.erf(x))
    changed = changed.replace(lambda e: isinstance(e, sp.sin | sp.cos | sp.sinh | sp.cosh), lambda e: e.rewrite(sp.exp))
    _bounded(changed)
    return sp.expand(changed, power_exp=False)


def _bounded(expression: sp.Expr) -> None:
    """Refuse an expression that would not fit the class before it is multiplied out.

    Raises:
        NotInClass: for powers of sums below 1, or far more terms than the class takes.
    """
    for power in expression.atoms(sp.Pow):
        if power.base.is_Add and power.base.has(z) and power.exp.is_Integer and power.exp < 0:
            raise NotInClass(f"{power} is outside the class")
    terms = _multiplied_out(expression)
    if terms > _MOST_BEFORE_MERGING:
        raise NotInClass(f"expected at most {MOST_TERMS} terms, {terms} appear when {expression} is multiplied out")


def _multiplied_out(expression: sp.Expr) -> int:
    """Return how many terms an expression has when it is multiplied out, before equal ones are merged."""
    parts = [_multiplied_out(part) for part in expression.args]
    match expression:
        case sp.Add():
            return sum(parts)
        case sp.Mul():
            return math.prod(parts)
        case sp.Pow() if expression.exp.is_Integer and expression.exp > 0:
            return math.comb(parts[0] + int(expression.exp) - 1, int(expression.exp))
    return 1


def _element(field: Field, value: sp.Expr) -> Ratio:
    try:
        return field.ratio(value)
    except NotRational as error:
        raise NotInClass(f"expected a rational number or parameters: {error}") from None


def _coefficient(field: Field, value: sp.Expr) -> Form:
    """Return a number with roots, as sqrt(2) or 1/sqrt(pi), as a constant form."""
    form = constant(field.one)
    for part in sp.Mul.make_args(value):
        base, exponent = part.as_base_exp()
        if isinstance(part, sp.exp):
            form = form * exponential(_element(field, part.args[0]))
        elif base == sp.E:
            form = form * exponential(_element(field, exponent))
        elif exponent.is_Rational and exponent.q == 2 and not base.is_Integer:
            form = form * root(_element(field, base)) ** int(2 * exponent)
        elif part.is_Pow and base.is_Integer and exponent.is_Rational and exponent.q == 2 and base > 0:
            form = form * root(field.number(int(base))) ** int(2 * exponent)
        else:
            form = form * constant(_element(field, part))
    return form


def _term(field: Field, term: sp.Expr) -> list[tuple[Monomial, Form]]:
    scalar, power, exponent, soft = sp.S.One, 0, sp.S.Zero, None
    for part in sp.Mul.make_args(term):
        base, times = part.as_base_exp()
        if not part.has(z):
            scalar *= part
        elif base == z and times.is_Integer and times > 0:
            power += int(times)
        elif isinstance(part, sp.exp) or base == sp.E:
            exponent += part.args[0] if isinstance(part, sp.exp) else times
        elif isinstance(base, sp.exp) and times.is_Integer:
            exponent += base.args[0] * times
        elif isinstance(base, sp.erf) and times == 1:
            if soft is not None:
                raise NotInClass(f"{term} has two factors of erf")
            soft = base
        else:
            raise NotInClass(f"{part} is outside the class of z^m exp(alpha z^2 + beta z) with 1, sgn or erf")
    if power > HIGHEST_POWER:
        raise NotInClass(f"expected powers up to {HIGHEST_POWER}, got z**{power}")
    quadratic = sp.Poly(sp.expand(exponent), z) if exponent.is_polynomial(z) else None
    if quadratic is None or quadratic.degree() > 2:
        raise NotInClass(f"exp({exponent}) is not of the form exp(alpha z^2 + beta z)")
    beta, alpha = (_element(field, quadratic.coeff_monomial(z**n)) for n in (1, 2))
    if alpha.has(sp.I):
        raise NotInClass("sin or cos of a square is outside the class of z^m exp(alpha z^2 + beta z) with real alpha")
    coefficient = _coefficient(field, scalar * sp.exp(quadratic.coeff_monomial(1)))
    plain = Monomial(power, alpha, beta)
    if soft is None:
        return [(plain, coefficient)]
    if beta.has(sp.I):
        raise NotInClass(f"{term} has both erf and sin or cos")
    step, sign = _soft_step(field, soft)  # erf = sign (2 S - 1)
    return [
        (Monomial(power, alpha, beta, step), coefficient.scaled(sign * 2)),
        (plain, coefficient.scaled(-sign)),
    ]


def _soft_step(field: Field, erf: sp.Expr) -> tuple[Step, Ratio]:
    """Return the step S and the sign with ``erf(gamma z + delta) = sign (2 S(z) - 1)``."""
    argument = sp.Poly(erf.args[0], z) if erf.args[0].is_polynomial(z) else None
    if argument is None or argument.degree() != 1:
        raise NotInClass(f"{erf} is not of the form erf(gamma z + delta)")
    slope, offset = argument.all_coeffs()
    if not (slope.is_positive or slope.is_negative):
        raise NotInClass(
            f"expected to know the sign of {slope} in {erf}; give the parameter a number or make it positive"
        )
    noise = field.one / (_element(field, sp.expand(slope**2)) * 2)
    return Step(_element(field, sp.radsimp(-offset / slope)), noise), field.number(1 if slope.is_positive else -1)


def derivative(function: Function, weak: bool = False) -> Function:
    """Return the derivative of a function: pathwise (what backpropagation uses), or weak, with Dirac deltas.

    Raises:
        NotInClass: for the derivative of a Dirac delta.
    """
    field = function.field
    terms: list[tuple[Monomial, Form]] = []
    for monomial, k in function.terms.items():
        m, alpha, beta, step = monomial.power, monomial.alpha, monomial.beta, monomial.step
        if step is not None and step.delta:
            raise NotInClass("the derivative of a Dirac delta is outside the class")
        if m:
            terms.append((Monomial(m - 1, alpha, beta, step), k.scaled(field.number(m))))
        if alpha:
            terms.append((Monomial(m + 1, alpha, beta, step), k.scaled(alpha * 2)))
        if beta:
            terms.append((monomial, k.scaled(beta)))
        if step is None:
            continue
        t = step.threshold
        if step.noise:
            height = exponential(-t * t / (step.noise * 2)) * root(
                field.one / (field.generator(sp.pi) * step.noise * 2)
            )
            bump = Monomial(m, alpha - field.one / (step.noise * 2), beta + t / step.noise)
            terms.append((bump, k * height))
        elif weak and (t or not m):  # z^m delta(z) = 0
            value = exponential(alpha * t * t + beta * t).scaled(t**m)
            terms.append((Monomial(0, field.zero, field.zero, Step(t, field.zero, delta=True)), k * value))
    return _function(field, terms)
