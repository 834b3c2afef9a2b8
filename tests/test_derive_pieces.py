"""Piecewise functions: pieces against SymPy's own evaluation of the whole, and what cannot be told apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import derive.pieces
from derive.notation import z
from derive.pieces import MOST_PIECES, NotPiecewise, break_points, jumps, pieces, roots, value_at

R = sp.Rational
t = sp.Symbol("t", positive=True)
s = sp.Symbol("s", real=True)
PARAMETERS = {t: R(7, 3), s: R(5, 2)}
POINTS = [R(97 * n + 13, 89) for n in range(-5, 5)] + [R(17 * n + 5, 61) for n in range(-6, 6)]
GOLDEN = (1 + sp.sqrt(5)) / 2


def difference(whole, parts=None):
    """Return the largest difference between an expression and its pieces, and check that these cover the line."""
    parts = pieces(whole) if parts is None else parts
    ends = [sp.N(x.subs(PARAMETERS), 30) for x in (*(piece.low for piece in parts), parts[-1].high)]
    assert ends[0] == -sp.oo
    assert ends[-1] == sp.oo
    assert all(low < high for low, high in pairwise(ends))
    assert all(left.high == right.low for left, right in pairwise(parts))
    found = []
    for x in POINTS:
        (piece,) = [p for n, p in enumerate(parts) if ends[n] < x < ends[n + 1]]
        assert not piece.expression.has(sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise)
        at = [sp.N(e.subs(PARAMETERS).subs(z, x), 30) for e in (piece.expression, whole)]
        found.append(abs(at[0] - at[1]))
    return max(found)


def piecewise(*branches):
    return sp.Piecewise(*branches)


COUNTED = {
    "nested maxima and minima": (sp.Max(sp.Min(z, 1), sp.Min(-z, R(1, 2)), -2), 4),
    "Abs of Abs": (sp.Abs(sp.Abs(sp.Abs(z) - 1) - R(1, 2)), 8),
    "Abs of Abs of a polynomial": (sp.Abs(sp.Abs(sp.Abs(z**2 - 2) - 1) - R(1, 2)), 15),
    "a root without radicals": (sp.Abs(z**5 - z - 1), 2),
    "four irrational roots": (sp.Max(z**4 - 10 * z**2 + 1, z), 5),
    "maxima of polynomials": (sp.Max(z**3 - 2 * z, 1 - z**2, z**4 - 2, z / 2), 5),
    "a touching zero under Abs": (sp.Abs((z - 1) ** 2), 1),
    "a touching zero under Max": (sp.Max(z * (z - 1) ** 2, 0), 2),
    "a touching zero under sign": (sp.sign((z - 1) ** 2), 1),
    "a triple zero": (sp.sign(z**3), 2),
    "never zero": (sp.Max(z**2 + 1, 0) + sp.Abs(sp.exp(z)) + sp.Max(sp.cosh(z), 0), 1),
    "identically zero": (sp.Abs((z + 1) ** 2 - z**2 - 2 * z - 1), 1),
    "equal thresholds": (sp.Max(z - 1, 0) - sp.Max(2 * z - 2, 0) + sp.Heaviside(z - 1), 2),
    "kinks that cancel": (sp.Abs(z) - sp.Abs(-z) + sp.Abs(z - 1) - sp.Max(z - 1, 1 - z), 1),
    "neighbours 1e-40 apart": (sp.Max(z - R(1, 10**40), 0) + sp.Max(z, 0), 3),
    "a sign inside a sign": (sp.sign(z - sp.sign(z)), 4),
    "a maximum in an exponent": (sp.exp(-sp.Max(z, 0)), 2),
    "a monotone function": (sp.Min(sp.exp(z) - 2, 0) + sp.Max(sp.erf(z) - R(1, 2), 0), 3),
    "a pole": (sp.Max(1 / (z - 1), 0), 2),
    "a product": (sp.Abs(z * sp.exp(-z) - 2 * sp.exp(-z)), 2),
    "Piecewise": (piecewise((z, z < -1), (z**2, z <= 2), (1, True)), 3),
    "and": (piecewise((z, (z > -1) & (z < 2)), (0, True)), 3),
    "or": (piecewise((z, (z < -1) | (z > 2)), (0, True)), 3),
    "an irrational condition": (piecewise((z, z**2 < 2), (0, True)), 3),
    "Max in Piecewise": (piecewise((sp.Max(z, 0), z < 1), (sp.Min(z, 3), True)), 3),
    "a condition that never holds": (piecewise((1, (z - 1) ** 2 < 0), (2, True)), 1),
    "symbolic thresholds": (sp.Max(z - t, 0) + sp.Min(z + t, 0), 3),
    "symbolic thresholds under Abs": (sp.Abs(sp.Abs(z) - t), 4),
    "a symbolic slope": (sp.Max(t * z - 1, 0), 2),
    "ordered symbolic thresholds": (sp.Max(z - t, 0) * sp.Max(z - 2 * t, 0) + sp.Abs(z + t / 2), 3),
    "a condition at one point": (piecewise((1, sp.Eq(z, 0)), (sp.sin(z) / z, True)), 1),
    "a condition besides one point": (piecewise((sp.sin(z), sp.Ne(z, 1)), (0, True)), 1),
    "a quadratic with irrational roots": (sp.Max(z**2 - sp.sqrt(2), 0) + sp.Max(sp.exp(-(z**2)) - R(1, 2), 0), 5),
    "one point written in two ways": (sp.Max(z - GOLDEN, 0) + sp.Max(z - 1 / (GOLDEN - 1), 0), 2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_pieces_are_what_the_function_is(name):
    whole, count = COUNTED[name]
    assert difference(whole) < R(1, 10**20)
    assert len(pieces(whole)) == count


polynomials = st.lists(st.fractions(-3, 3, max_denominator=3), min_size=2, max_size=3).map(
    lambda k: sum((R(x.numerator, x.denominator) * z**n for n, x in enumerate(k)), start=sp.S.Zero)
)


def switched(inner):
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda e: sp.Max(*e)),
        several.map(lambda e: sp.Min(*e)),
        inner.map(sp.Abs),
        st.tuples(inner, inner).map(lambda e: e[0] * sp.Heaviside(e[1])),
        st.tuples(inner, inner).map(lambda e: e[0] + sp.sign(e[1])),
        st.tuples(inner, inner, polynomials).map(lambda e: sp.Piecewise((e[0], e[2] < 0), (e[1], True))),
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(whole=switched(st.one_of(polynomials, switched(polynomials))))
def test_pieces_of_random_expressions_are_what_they_are(whole):
    try:
        parts = pieces(whole)
    except NotPiecewise:  # too many, or of too high a degree
        assume(False)
    assert difference(whole, parts) < R(1, 10**20)


def test_break_points_are_exact():
    assert break_points(sp.Max(z**2 - 2, 0)) == (-sp.sqrt(2), sp.sqrt(2))
    assert break_points(sp.Max(z - sp.pi, 0)) == (sp.pi,)
    assert break_points(sp.Min(sp.exp(z) - 2, 0)) == (sp.log(2),)
    assert break_points(sp.Max(z - t, 0) + sp.Min(z + t, 0)) == (-t, t)
    assert break_points(sp.exp(z)) == ()


def test_roots_are_all_of_them():
    assert set(roots(z**2 * (z - 1) * (z**2 + 1))) == {sp.S.Zero, sp.S.One}
    assert roots(sp.exp(z)) == roots(z**2 + 1) == roots(sp.Integer(3)) == []


REFUSED = {
    sp.Max(sp.sin(z), 0): r"zeros can be found, got sin\(z\)",
    sp.Max(sp.exp(z) - 1, z): "zeros can be found",
    sp.Max(s * z, 0): r"sign of s\*z at z = .*; give the parameters numbers",
    sp.Max(z, s * z): "give the parameters numbers",
    sp.Min(sp.Max(z, -s), s): r"sign of 2\*s",
    sp.Max(z - t, 0) + sp.Max(z - 1, 0): "sign of 1 - t",
    sp.Max(z**2 - t, 0): "a threshold that is linear in z",
    sp.Max(z**9 - z - 1, 0): "degree at most 8",
    sp.Max(z**3 - sp.sqrt(2) * z - 1, 0): "under a threshold",
    sp.Piecewise((z, z < 0), (z**2, z > 1)): r"no value at z = 1/2; add a last case with condition True",
    sp.Piecewise((1, sp.Contains(z, sp.Union(sp.Interval(0, 1), sp.Interval(2, 3)))), (0, True)): "condition",
    sp.floor(z): "floor",
    sp.Add(*(sp.Abs(z - k) for k in range(MOST_PIECES + 3))): "at most 24 pieces",
}


@pytest.mark.parametrize("expression", REFUSED, ids=lambda e: str(e)[:40])
def test_what_cannot_be_told_apart_is_refused_with_the_part(expression):
    with pytest.raises(NotPiecewise, match=REFUSED[expression]):
        pieces(expression)


def test_doubling_the_pieces_again_and_again_is_refused_and_does_not_hang():
    tent = sp.Abs(z)
    for n in range(1, 13):
        tent = sp.Abs(tent - R(1, 2**n))
    with pytest.raises(NotPiecewise, match="at most 24 pieces"):
        pieces(tent)


# --- planted errors ----------------------------------------------------------------------------------------------


def _with_the_other_sign(expression, at):
    return -SIGN(expression, at)


def _without_the_first(expression):
    return ROOTS(expression)[1:]


SIGN, ROOTS = derive.pieces._sign, derive.pieces.roots


@pytest.mark.parametrize(("part", "wrong"), [("_sign", _with_the_other_sign), ("roots", _without_the_first)])
def test_an_error_in_taking_apart_is_seen(part, wrong, monkeypatch):
    whole = sp.Max(z**2 - 2, 0) + sp.Heaviside(z - 1)
    assert difference(whole) == 0
    with monkeypatch.context() as patched:
        patched.setattr(derive.pieces, part, wrong)
        parts = pieces.__wrapped__(whole)  # not those remembered from above
    try:
        seen = difference(whole, parts) > R(1, 10**3)
    except AssertionError:  # the pieces do not even cover the line
        seen = True
    assert seen


def test_a_wrong_branch_is_seen():
    parts = pieces(sp.Max(z - 1, 0))
    assert difference(sp.Max(z - 1, 0), parts) == 0
    assert difference(sp.Max(z - 1, 0) + R(1, 10**18) * sp.Heaviside(z - 1), parts) > R(1, 10**20)


@pytest.mark.parametrize(
    ("function", "at", "value"),
    [
        (sp.Heaviside(z), 0, R(1, 2)),
        (sp.Heaviside(z, 1), 0, R(1, 2)),
        (sp.Piecewise((1, z < 0), (3, True)), 0, 2),
        (sp.Piecewise((1, z <= 0), (3, True)), 0, 2),
        (sp.Piecewise((1, z < 0), (3, True)), R(-1, 9), 1),
        (sp.Heaviside(z - 2) * sp.exp(z), 2, sp.exp(2) / 2),
        (sp.Heaviside(z - s) * z, s, s / 2),
        (sp.Max(z, -z), 0, 0),
        (sp.Piecewise((5, z < 0), (sp.log(z), True)), 0, sp.log(0)),
    ],
)
def test_at_a_jump_the_value_is_the_mean_of_both_sides(function, at, value):
    assert value_at(function, sp.sympify(at)) == value


def test_jumps_are_told_from_kinks():
    function = sp.Max(z, 0) + sp.Piecewise((sp.sin(z), z < 2), (sp.sin(2) * z / 2, z < 3), (0, True))
    assert jumps(function) == {3: 3 + 3 * sp.sin(2) / 4}
    assert jumps(sp.Piecewise((5, z < 0), (sp.log(z), True))) == {0: None}
