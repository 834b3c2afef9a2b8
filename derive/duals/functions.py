"""The functions of closed forms besides roots and exponentials, as SymPy functions that stay as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp

from derive import notation


class Atan2(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """The angle of the point (x, y), ``atan2(y, x)``.

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


class NormalCdf(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """The standard normal cdf, ``P(n < x)``."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the density."""
        return sp.exp(-(self.args[0] ** 2) / 2) / sp.sqrt(2 * sp.pi)

    def _numpycode(self, printer: Any) -> str:
        return f"{printer._module_format('scipy.special.ndtr')}({printer._print(self.args[0])})"

    def _mpmathcode(self, printer: Any) -> str:
        return f"{printer._module_format('mpmath.ncdf')}({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\Phi\left({printer._print(self.args[0])}\right)"

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return (sp.erfc(-self.args[0] / sp.sqrt(2)) / 2)._eval_evalf(precision)


class BivariateTail(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``P(X > h, Y > k)`` for standard normals of correlation ``C / sqrt(C^2 + R^2)``, arguments (h, k, C, R), R >= 0.

    The bivariate normal cdf up to signs, ``L(h, k, rho)`` in Abramowitz and Stegun 26.3.3; C and R together keep the
    digits of correlations near 1 and -1.
    """

    nargs = 4

    @property
    def correlation(self) -> sp.Expr:
        """Return the correlation, with ``ab - c^2`` for D."""
        _, _, covariance, complement = self.args
        total = (covariance**2 + complement**2).subs(notation.D, notation.a * notation.b - notation.c**2)
        return covariance / sp.sqrt(sp.factor(sp.expand(total)))

    def _latex(self, printer: Any) -> str:
        h, k, correlation = map(printer._print, (*self.args[:2], self.correlation))
        return rf"\operatorname{{L}}\left({h}, {k}; {correlation}\right)"

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return bivariate_tail(self.args, precision)


def bivariate_tail(arguments: tuple[sp.Expr, ...], precision: int) -> sp.Expr:
    """Return the value of a bivariate tail to a binary precision, by Price's integral over the correlation's angle."""
    import mpmath

    with mpmath.workprec(precision + 20):
        h, k, covariance, complement = (mpmath.mpf(x.evalf(mpmath.mp.dps + 5)) for x in arguments)
        value = precise_bivariate_tail(h, k, covariance, complement)
    return sp.Float(value, precision=precision)


def precise_bivariate_tail(h: Any, k: Any, covariance: Any, complement: Any) -> Any:
    """Return ``P(X > h, Y > k)`` in mpmath at its working precision.

    Wrong variants of a closed form have its probabilities in common, so these are remembered.
    """
    import mpmath

    return _plackett(h, k, covariance, complement, mpmath.mp.prec)


@lru_cache(maxsize=256)
def _plackett(h: Any, k: Any, covariance: Any, complement: Any, bits: int) -> Any:
    """Return the probability at mpmath's working precision, which is that of so many bits.

    Plackett (1954): the derivative by the correlation ``sin t`` is ``exp(-(h^2 - 2hk sin t + k^2)/(2 cos^2 t))/(2 pi)``
    by t; the integral starts at t = 0, where X and Y are independent, and ends at the angle of (C, R).
    """
    import mpmath

    end = mpmath.atan2(covariance, complement)

    def density(t: Any) -> Any:
        sine, cosine = mpmath.sin(t), mpmath.cos(t)
        if cosine == 0:
            return mpmath.mpf(0)
        return mpmath.exp(-((h - k * sine) ** 2 / cosine**2 + k * k) / 2)

    cuts = [end * (1 - mpmath.mpf(2) ** -n) for n in range(0, 12, 2)] + [end]
    integral = mpmath.quad(density, cuts) / (2 * mpmath.pi) if end else mpmath.mpf(0)
    return mpmath.ncdf(-h) * mpmath.ncdf(-k) + integral


class ArcMoment(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``r^n J_n(t)`` for the angle t of the point (-y, x), x >= 0, and its distance r; arguments (n, y, x).

    ``J_n`` is the angular function of the arc-cosine kernel (Cho and Saul 2009, eq 4) at ``t = pi - theta``. It is
    positive, ``J_n(t) = 2^n n! int_0^t (sin s sin(t - s))^n ds``, while its closed form :meth:`written_out` is a
    difference of terms of order t for a value of order ``t^(2n+1)``: it says what cancellation would hide.
    """

    nargs = 3

    def written_out(self) -> sp.Expr:
        """Return the closed form, ``r^n (P_n(cos t) t + Q_n(cos t) sin t)``, in y, x and the angle."""
        order, y, x = self.args
        angle, algebraic = arc_polynomials(int(order))
        square = x**2 + y**2
        terms = [sum(k * (-y) ** m * square ** sp.Rational(order - m, 2) for m, k in angle.items()) * Atan2(x, -y)]
        terms += [k * (-y) ** m * square ** sp.Rational(order - 1 - m, 2) * x for m, k in algebraic.items()]
        return sp.Add(*terms)

    def _latex(self, printer: Any) -> str:
        order, y, x = map(printer._print, self.args)
        return rf"A_{{{order}}}\left({y}, {x}\right)"

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return self.written_out()._eval_evalf(precision)


def arc_polynomials(order: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return P_n and Q_n of ``J_n = P_n(cos t) t + Q_n(cos t) sin t`` as coefficients by powers.

    From ``J_0 = t`` and ``J_{n+1} = sin t J_n' - (2n+1) cos t J_n``, which is Cho and Saul's derivative formula.
    """
    x = sp.Symbol("x")
    angle, algebraic = sp.Poly(1, x), sp.Poly(0, x)
    square = sp.Poly(1 - x**2, x)
    for n in range(order):
        odd = sp.Poly((2 * n + 1) * x, x)
        algebraic = sp.Poly(x, x) * algebraic - square * algebraic.diff(x) + angle - odd * algebraic
        angle = -square * angle.diff(x) - odd * angle
    return tuple({m: int(k) for (m,), k in p.terms() if k} for p in (angle, algebraic))  # type: ignore[return-value]


class Spread(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``p + q - 2r``, the variance of a difference, with the determinant ``d = pq - r^2``; arguments (p, q, r, d).

    For nearly equal variables it is small, and its digits are in d and p - q alone.
    """

    nargs = 4

    def written_out(self) -> sp.Expr:
        """Return the sum."""
        p, q, r, _ = self.args
        return p + q - 2 * r

    def _latex(self, printer: Any) -> str:
        return rf"\left({printer._print(self.written_out())}\right)"

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return self.written_out()._eval_evalf(precision)


class ExpSpread(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``exp(k (p + q - 2r))`` with the exponent's rounding error made good; arguments (k, p, q, r, d), see Spread."""

    nargs = 5

    def written_out(self) -> sp.Expr:
        """Return the exponential."""
        k, p, q, r, _ = self.args
        return sp.exp(k * (p + q - 2 * r))

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return self.written_out()._eval_evalf(precision)


class OneMinusExp(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``1 - exp(-x)``, with all digits for small x."""

    nargs = 1

    def written_out(self) -> sp.Expr:
        """Return the difference."""
        return 1 - sp.exp(-self.args[0])

    def _eval_evalf(self, precision: int) -> sp.Expr:
        return self.written_out()._eval_evalf(precision)


def written_out(expression: sp.Expr) -> sp.Expr:
    """Return an expression with the functions that are there for their digits replaced by what they mean."""
    return expression.replace(
        lambda e: isinstance(e, ArcMoment | Spread | ExpSpread | OneMinusExp), lambda e: e.written_out()
    )
