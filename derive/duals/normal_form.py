"""Normal forms of duals: rational functions of a, b, c, D times roots and arctangents, and the zero test.

Zero is decided by a normal form: roots are generators with ``r^2 = p``, arctangents are generators, D is
``ab - c^2``. A polynomial that vanishes is zero for certain; the test is complete when the generators are
algebraically independent.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from derive.notation import D, a, b, c


class Atan2(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """The angle of the point (x, y), ``atan2(y, x)``, kept as it is.

    SymPy's own ``atan2`` turns into ``atan(y/x)`` for positive x, which is 0/0 where both vanish: at D = 0.
    """

    nargs = 2

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the partial derivative by y or by x."""
        y, x = self.args
        return (x if argindex == 1 else -y) / (x**2 + y**2)

    def _numpycode(self, printer: Any) -> str:
        return f"{printer._module_format('numpy.arctan2')}({', '.join(map(printer._print, self.args))})"

    def _mpmathcode(self, printer: Any) -> str:
        return f"{printer._module_format('mpmath.atan2')}({', '.join(map(printer._print, self.args))})"

    def _latex(self, printer: Any) -> str:
        y, x = map(printer._print, self.args)
        return rf"\operatorname{{atan2}}\left({y}, {x}\right)"

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return sp.atan2(*self.args)._eval_evalf(precision)


def factored(expression: sp.Expr) -> sp.Expr:
    """Return a rational function in factored form over a common denominator."""
    return sp.factor(sp.together(expression))


def tidied(expression: sp.Expr) -> sp.Expr:
    """Return a dual with arctangents and roots collected, turned so that no digits cancel near c = -sqrt(ab)."""
    scaled = sp.expand(sp.expand(expression).replace(Atan2, _without_denominators))
    angles = sorted(scaled.atoms(Atan2), key=str)
    rest = scaled.subs(dict.fromkeys(angles, 0))
    result = sp.S.Zero
    for angle in angles:
        coefficient = scaled.coeff(angle)
        y, x = angle.args
        right_angle = sp.expand(coefficient * sp.pi / 2)
        if _terms(sp.expand(rest - right_angle)) < _terms(rest):
            rest = sp.expand(rest - right_angle)  # k (atan2(y, x) + pi/2) = k atan2(x, -y) for x >= 0
            angle = Atan2(x, -y)
        result += factored(coefficient) * angle
    return result + sp.Add(*(sp.powsimp(term) for term in sp.Add.make_args(rest)))


def _terms(expression: sp.Expr) -> int:
    return 0 if expression == 0 else len(sp.Add.make_args(expression))


def _without_denominators(y: sp.Expr, x: sp.Expr) -> sp.Expr:
    """Return the angle of the same point, scaled by a positive number to have no denominators."""
    square = factored(x**2)
    numerator, denominator = sp.fraction(factored(y))
    scaled_square = factored(square * denominator**2)
    top, bottom = sp.fraction(scaled_square)
    return Atan2(numerator * sp.sqrt(bottom), sp.sqrt(sp.expand(top)))


def is_zero(expression: sp.Expr) -> bool:
    """Return whether an expression in a, b, c, D vanishes for all ``D = ab - c^2``, by its normal form."""
    angles = {angle: sp.Dummy("angle") for angle in sorted(_upright(expression).atoms(Atan2), key=str)}
    roots: dict[sp.Expr, sp.Symbol] = {}

    def generator(power: sp.Expr) -> sp.Expr:
        base = sp.expand(power.base.subs(D, a * b - c**2))
        root = roots.setdefault(base, sp.Dummy("root", positive=True))
        return root ** (2 * power.exp)

    rational = sp.expand_power_base(_upright(expression).xreplace(angles), force=True).replace(
        lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2 and not e.base.is_number, generator
    )
    numerator = sp.expand(sp.fraction(sp.together(rational.subs(D, a * b - c**2)))[0])
    if not roots:
        return bool(numerator == 0)
    reduced = sp.S.Zero
    for powers, coefficient in sp.Poly(numerator, *roots.values()).terms():
        for (base, root), n in zip(roots.items(), powers, strict=True):
            coefficient *= base ** (n // 2) * root ** (n % 2)
        reduced += coefficient
    return bool(sp.expand(reduced) == 0)


def _upright(expression: sp.Expr) -> sp.Expr:
    """Return the expression with every angle ``atan2(x, -y)`` written as ``atan2(y, x) + pi/2``, one form of each."""
    return expression.replace(
        Atan2, lambda y, x: Atan2(-x, y) + sp.pi / 2 if x.could_extract_minus_sign() else Atan2(y, x)
    )
