"""Duals from the kernel's side: a kernel F(a, b, c) without its activation, and what tells that it has none.

``E[phi(u) phi(v)] = sum_k T_k(a, b) c^k`` for ``c^2 <= ab``, with ``T_k = m_k(a) m_k(b) / k!`` (Mehler's series), where
``m_k(a) = E[phi(u) He_k(u/sqrt(a))] / a^(k/2)`` is the mean of the k-th derivative of phi. So a dual is symmetric,
analytic at c = 0, and all its T_k are positive semidefinite in the variances, of rank one. A T_k that is not says that
F is not positive definite in inputs of every dimension (for equal norms Schoenberg 1942), as means of products are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement, product
from operator import add, mul
from typing import Any

import sympy as sp
from flint import arb, arb_series, ctx, fmpq

from derive.duals.balls import constant
from derive.duals.evaluation import exact, integer_power, precision
from derive.duals.expressions import from_expression, rational_expression, to_expression
from derive.duals.field import NotRational, field_with, generators_of
from derive.duals.functions import Atan2, NormalCdf
from derive.duals.theorems import ClosedForm
from derive.notation import D, a, b, c
from derive.parsing import read_expression

VARIANCES = (sp.Rational(1, 4), sp.S.One, sp.Rational(25, 16), sp.Integer(4))
"""Where kernels are checked; chosen: near and far neighbours, squares so that c is rational where D = 0."""
_CORRELATIONS = (sp.S.NegativeOne, -sp.S.Half, sp.S.Half, sp.S.One)
_HIGHEST = 64
"""The highest power of c; chosen."""
_BITS, _ZERO = 400, arb("1e-30")
"""Working precision, and the modulus below which a ball around 0 counts as 0, in natural units; chosen."""

_Pair = tuple[sp.Rational, sp.Rational]


class NotADual(ValueError):
    """A kernel that is no dual, or that cannot be checked; the message says in one line what is in the way."""


@dataclass(frozen=True, slots=True, eq=False)
class Coefficient:
    """The Taylor coefficient T_k of a kernel.

    Attributes:
        power: k.
        gram: balls around T_k(a, b), a row for each variance a.
        rank: of this matrix, to 30 digits.
    """

    power: int
    gram: tuple[tuple[arb, ...], ...]
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class KernelDual:
    """A kernel that passed the checks of a dual, with its derivative.

    Attributes:
        name: the kernel as it was given.
        value, derivative: F, and dF/dc at fixed a and b, in a, b, c, D.
        coefficients: the Taylor coefficients that were checked, by their powers of c.
        variances: where they were checked.
        singular: whether the derivative is not finite at D = 0, as for activations that jump.
    """

    name: str
    value: sp.Expr
    derivative: sp.Expr
    coefficients: tuple[Coefficient, ...]
    variances: tuple[sp.Rational, ...]
    singular: bool

    @property
    def rank_one(self) -> bool:
        """Return whether ``T_k(a, b)^2 = T_k(a, a) T_k(b, b)`` wherever it was checked.

        If not, F is the dual of no activation, but may be a mean of such duals. If so, there is one for inputs of equal
        norm, as far as was checked; at other norms it may be another, as for ``(1 + c)^3``.
        """
        return all(coefficient.rank <= 1 for coefficient in self.coefficients)

    @property
    def closed_forms(self) -> tuple[ClosedForm, ClosedForm]:
        """Return the value and the derivative, and what has to be positive for them to hold."""
        return ClosedForm(self.value), ClosedForm(self.derivative, (D,) if self.singular else ())

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the conditions under which the closed forms hold, and what is assumed of F."""
        where = ", ".join(map(str, self.variances))
        return (
            *("a > 0", "b > 0", "D = ab - c^2 >= 0"),
            *(("D > 0 for the derivative",) if self.singular else ()),
            f"F is positive definite: checked up to c^{self.coefficients[-1].power} at variances {where}, not proven",
        )


def kernel_dual(
    value: str | sp.Expr, order: int = 12, variances: Sequence[sp.Rational | int] = VARIANCES
) -> KernelDual:
    """Return a kernel as a dual, with its derivative by Price's theorem, if nothing tells that it is none.

    Checked at all pairs of variances: the Taylor coefficients up to ``c^order`` exist, are symmetric and positive
    semidefinite; F is finite at D = 0, and positive at a = b = c; and what F has beyond them obeys Cauchy and Schwarz,
    ``(F - S)(a, b, c)^2 <= rho^(2 order + 2) R(a) R(b)``, where ``S = sum T_k c^k``, ``rho^2 = c^2/(ab)`` and
    ``R(a) = (F - S)(a, a, a) >= 0``. Together this implies ``F(a, b, c)^2 <= F(a, a, a) F(b, b, b)``.

    A refusal names what no dual has, and since numbers are balls it is a proof; or it says what could not be found or
    decided, which proves nothing. What passes may still be no dual: coefficients of higher order or at other variances
    may be negative.

    Args:
        value: F in a, b, c and possibly D = ab - c^2; text is read by :mod:`derive.parsing`.
        order: the highest power of c.
        variances: positive numbers, where F is checked.

    Raises:
        NotADual: if a check fails or cannot be made.
        ValueError: for a text that is no expression, other symbols, or an order or variances out of range.
        TypeError: for anything but text and expressions.

    Source: Schoenberg 1942, "Positive definite functions on spheres"; Price 1958, "A useful theorem for nonlinear
    devices having Gaussian inputs".

    >>> kernel_dual("(sqrt(a*b - c**2) + c*(pi - acos(c/sqrt(a*b))))/(2*pi)").derivative
    Atan2(sqrt(D), -c)/(2*pi)
    """
    points = tuple(map(sp.sympify, variances))
    if not 1 <= order <= _HIGHEST:
        raise ValueError(f"expected an order from 1 to {_HIGHEST}, got {order}")
    if not points or not all(x.is_Rational and x > 0 for x in points):
        raise ValueError(f"expected positive rational variances, got {points}")
    kernel = read_expression(value, frozenset({a, b, c, D})) if isinstance(value, str) else value
    if not isinstance(kernel, sp.Expr):
        raise TypeError(f"expected a kernel as text or a SymPy expression, got {type(value).__name__}")
    if foreign := kernel.free_symbols - {a, b, c, D}:
        raise ValueError(f"expected a kernel in a, b, c, D alone, got {foreign} in {kernel}; use derive.notation")
    with _power_series(order + 1):
        coefficients = _coefficients(kernel, order, points)
        written = _rewritten(kernel, points)
        derivative = _rewritten(written.diff(c) - 2 * c * written.diff(D), points)
        singular = not all(
            _at(derivative, x, y, sp.S(sign)).is_finite() for x, y, sign in product(points, points, (-1, 1))
        )
    return KernelDual(str(value).strip(), written, derivative, coefficients, points, singular)


@contextmanager
def _power_series(length: int) -> Iterator[None]:
    """Set the length and the precision of power series, which are global to flint, and put them back."""
    before = ctx.cap
    ctx.cap = length
    try:
        with precision(_BITS):
            yield
    finally:
        ctx.cap = before


def _coefficients(kernel: sp.Expr, order: int, variances: Sequence[sp.Rational]) -> tuple[Coefficient, ...]:
    """Return the Taylor coefficients of a kernel that passes all checks.

    Signs are decided in natural units: the correlation for c, and ``sqrt(F(a, a, a) F(b, b, b))`` for the kernel. In
    them the coefficients of a dual are at most 1, and on the diagonal they add up to 1.
    """
    pairs = tuple(product(variances, repeat=2))
    taylor = {(x, y): _taylor(kernel, x, y, order) for x, y in pairs}
    for x, k in product(variances, range(order + 1)):
        if taylor[x, x][k] < 0:
            raise _refusal(f"a coefficient of c^{k} that is not negative", _shown(taylor[x, x][k]), x, x)
    norms = {x: _norm(kernel, x) for x in variances}
    scaled = {
        (x, y): [t * constant(sp.sqrt(x * y)) ** k / (norms[x] * norms[y]) for k, t in enumerate(series)]
        for (x, y), series in taylor.items()
    }
    coefficients = []
    for k in range(order + 1):
        for x, y in pairs:
            if _sign(scaled[x, y][k] - scaled[y, x][k]):
                found = " and ".join(_shown(taylor[pair][k]) for pair in ((x, y), (y, x)))
                raise _refusal("F(a, b, c) = F(b, a, c)", f"coefficients {found} of c^{k}", x, y)
        rank = _rank(k, {pair: series[k] for pair, series in scaled.items()}, variances)
        coefficients.append(Coefficient(k, tuple(tuple(taylor[x, y][k] for y in variances) for x in variances), rank))
    _check_remainder(kernel, scaled, norms)
    return tuple(coefficients)


def _refusal(expected: str, got: str, *variances: sp.Rational) -> NotADual:
    return NotADual(f"expected of a dual {expected}, got {got} at the variances {', '.join(map(str, variances))}")


def _shown(value: arb) -> str:
    return value.str(6, radius=False)


def _sign(number: arb) -> int:
    """Return the sign of a number in natural units.

    Raises:
        NotADual: if its ball does not tell.
    """
    if number > 0 or number < 0:
        return 1 if number > 0 else -1
    if not abs(number) < _ZERO:
        raise NotADual(
            f"expected numbers whose sign {_BITS} bits decide, got {number.str(3)}; write F in fewer differences"
        )
    return 0


def _norm(kernel: sp.Expr, variance: sp.Rational) -> arb:
    """Return ``sqrt(F(a, a, a))``, nan if it is not known to be real; then no sign is decided."""
    square = _finite(kernel, variance, variance, sp.S.One)
    if square <= 0:
        raise _refusal("F(a, a, a) > 0", _shown(square), variance)
    return square.sqrt()


def _rank(power: int, gram: Mapping[_Pair, arb], variances: Sequence[sp.Rational]) -> int:
    """Return the rank of a positive semidefinite matrix, by elimination; any other is refused.

    What elimination leaves on the diagonal, and its minors of two rows, are principal minors of the whole matrix over
    products of the pivots that came before, which were positive.
    """
    left, done, pivots = list(variances), list[sp.Rational](), arb(1)
    while left:
        for x, y in combinations_with_replacement(left, 2):
            minor = gram[x, x] if x == y else gram[x, x] * gram[y, y] - gram[x, y] * gram[y, x]
            if _sign(minor) < 0:
                expected = f"a positive semidefinite coefficient of c^{power}"
                raise _refusal(expected, f"the minor {_shown(minor * pivots)}", *done, *sorted({x, y}))
        largest = max(left, key=lambda x: gram[x, x].mid())
        pivot = gram[largest, largest]
        if _sign(pivot) == 0:
            break
        left.remove(largest)
        done.append(largest)
        pivots = pivots * pivot
        gram = {(x, y): gram[x, y] - gram[x, largest] * gram[largest, y] / pivot for x, y in product(left, repeat=2)}
    return len(done)


def _check_remainder(kernel: sp.Expr, scaled: Mapping[_Pair, Sequence[arb]], norms: Mapping[sp.Rational, arb]) -> None:
    """Refuse a kernel that is not the sum of its Taylor series within the bound of Cauchy and Schwarz."""
    rest = {x: 1 - sum(scaled[x, x], arb(0)) for x in norms}
    for x, left in rest.items():
        if _sign(left) < 0:
            raise _refusal("F - sum T_k c^k >= 0 at a = b = c", _shown(left * norms[x] ** 2), x)
    for ((x, y), series), correlation in product(scaled.items(), _CORRELATIONS):
        value, rho = _finite(kernel, x, y, correlation), arb(exact(correlation))
        remainder = value / (norms[x] * norms[y]) - sum((t * rho**k for k, t in enumerate(series)), arb(0))
        if _sign(rho ** (2 * len(series)) * rest[x] * rest[y] - remainder * remainder) < 0:
            expected = f"F - sum T_k c^k within the bound of Cauchy and Schwarz at correlation {correlation}"
            raise _refusal(expected, _shown(remainder * norms[x] * norms[y]), x, y)


def _taylor(kernel: sp.Expr, x: sp.Rational, y: sp.Rational, order: int) -> list[arb]:
    """Return the Taylor coefficients at two variances; their being finite proves that F is analytic at c = 0."""
    first, second, covariance = arb(exact(x)), arb(exact(y)), arb_series([0, 1])
    at = {a: first, b: second, c: covariance, D: first * second - covariance**2}
    try:
        series = arb_series([0]) + _evaluated(kernel, at)
    except NotADual:
        raise
    except (ValueError, ZeroDivisionError):  # a pole, or 0/0
        series = arb_series([arb.nan()])
    found = [series[k] for k in range(order + 1)]
    if not all(t.is_finite() for t in found):
        raise _refusal("a Taylor series in c at c = 0", "none that can be found", x, y)
    return found


def _at(expression: sp.Expr, x: sp.Rational, y: sp.Rational, correlation: sp.Rational) -> arb:
    """Return a ball around the value at two variances and a correlation, nan if it is not finite."""
    first, second, rho = (arb(exact(number)) for number in (x, y, correlation))
    at = {a: first, b: second, c: rho * constant(sp.sqrt(x * y)), D: (1 - rho**2) * first * second}
    value: arb = _evaluated(expression, at)
    return value


def _finite(kernel: sp.Expr, x: sp.Rational, y: sp.Rational, correlation: sp.Rational) -> arb:
    """Return the value of a kernel; one that is not finite is refused."""
    value = _at(kernel, x, y, correlation)
    if not value.is_finite():
        raise _refusal(f"a finite value at correlation {correlation}", "none that can be found", x, y)
    return value


def _sinh(x: Any) -> Any:
    return (x.exp() - (-x).exp()) / 2


def _cosh(x: Any) -> Any:
    return (x.exp() + (-x).exp()) / 2


def _angle(y: Any, x: Any) -> Any:
    """Return ``atan2(y, x)``, as a series by its derivative; it has none on the cut."""
    if isinstance(y, arb) and isinstance(x, arb):
        return arb.atan2(y, x)
    y, x = arb_series([0]) + y, arb_series([0]) + x
    if not (x[0] > 0 or y[0] != 0):
        return arb_series([arb.nan()])
    return arb.atan2(y[0], x[0]) + ((x * y.derivative() - y * x.derivative()) / (x * x + y * y)).integral()


def _asin(x: Any) -> Any:
    return _angle(x, _power(1 - x * x, sp.S.Half))


def _power(x: Any, exponent: sp.Rational) -> Any:
    """Return a power with a rational exponent; a ball that reaches below 0 is cut there, where no root is."""
    p, q = int(exponent.p), int(exponent.q)
    if q > 1 and isinstance(x, arb_series):
        return x ** fmpq(p, q) if x[0] > 0 else arb_series([arb.nan()])  # flint has a root of 0 + O(c^n)
    if q > 1:
        x = x.root(q) if x > 0 else arb(0).union(x.upper().root(q))
    return integer_power(x, p)


_FUNCTIONS: Mapping[type[sp.Expr], Callable[..., Any]] = {
    **{f: lambda x, name=f.__name__: getattr(x, name)() for f in (sp.exp, sp.log, sp.sin, sp.cos, sp.erf, sp.erfc)},
    sp.sinh: _sinh,
    sp.cosh: _cosh,
    sp.tanh: lambda x: _sinh(x) / _cosh(x),
    sp.asinh: lambda x: (x + _power(x * x + 1, sp.S.Half)).log(),
    sp.atan: lambda x: _angle(x, arb(1)),
    sp.asin: _asin,
    sp.acos: lambda x: arb.pi() / 2 - _asin(x),
    Atan2: _angle,
    NormalCdf: lambda x: (x / -arb(2).sqrt()).erfc() / 2,
}
"""Functions of balls and of power series alike."""


def _evaluated(expression: sp.Expr, at: Mapping[sp.Symbol, Any]) -> Any:
    """Return a ball, or a power series of balls, that contains an expression in symbols that have such values.

    Raises:
        NotADual: if it is made of other functions.
    """
    if expression in at:
        return at[expression]
    if expression.is_number and not expression.args:
        return constant(expression)
    parts = [_evaluated(part, at) for part in expression.args]
    if expression.is_Add or expression.is_Mul:
        return reduce(add if expression.is_Add else mul, parts)
    if expression.is_Pow and expression.exp.is_Rational:
        return _power(parts[0], expression.exp)
    if type(expression) in _FUNCTIONS:
        return _FUNCTIONS[type(expression)](*parts)
    raise NotADual(f"expected a kernel of powers, elementary functions and erf, got {expression}; write it with these")


def _rewritten(expression: sp.Expr, variances: Sequence[sp.Rational]) -> sp.Expr:
    """Return an expression as the calculus of duals writes it, or at least with D, where that is the same function.

    With D angles and roots keep their digits near D = 0, and terms that are not finite there may cancel. Forms
    presuppose a domain (signs under roots, the branches of angles), so they are held against the expression.
    """
    with_determinant = _with_determinant(expression)
    try:
        candidates = [_with_determinant(to_expression(from_expression(with_determinant).without_determinant()))]
    except (ValueError, ZeroDivisionError):  # it is none of the forms
        candidates = []
    pairs = list(product(variances, variances, _CORRELATIONS))
    values = [_at(expression, *pair) for pair in pairs]
    for candidate in (form for form in (*candidates, with_determinant) if not form.has(sp.Abs)):
        others = (_at(candidate, *pair) for pair in pairs)
        if all(y.is_finite() and x.overlaps(y) for x, y in zip(values, others, strict=True) if x.is_finite()):
            return candidate
    return expression


def _with_determinant(expression: sp.Expr) -> sp.Expr:
    """Return an expression with D in its roots, and its arcs by the two sides of a triangle."""

    def legs(x: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Return x and ``sqrt(1 - x^2)`` times a common factor that clears denominators."""
        square = sp.fraction(_shortest(1 - x**2))
        return x * sp.sqrt(square[1]), sp.sqrt(square[0])

    turned = expression.replace(sp.asin, lambda x: Atan2(*legs(x))).replace(sp.acos, lambda x: Atan2(*legs(x)[::-1]))
    return turned.replace(
        lambda e: e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer and e.base.has(c),
        lambda e: _shortest(e.base) ** e.exp,
    )


def _shortest(expression: sp.Expr) -> sp.Expr:
    """Return a rational function factored, in whatever of c^2 and D makes it shortest, and anything else as it is."""
    try:
        return rational_expression(field_with(generators_of([expression])).ratio(expression))
    except NotRational:
        return expression
