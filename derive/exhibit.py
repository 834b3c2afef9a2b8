"""Statements held against concrete numbers: both sides evaluated on paths of their own.

A definition has nothing to derive, a remark may be no formula, and an implication fails by one example; each can still
be wrong. An exhibit evaluates the left side from what its symbols mean, the right side as stated, and each wrong
variant as it would read instead, all at the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import sympy as sp
from sympy.matrices.exceptions import ShapeError

Value: TypeAlias = "sp.Expr | sp.MatrixBase"
"""A number, or a matrix of numbers."""

_EXACT = 40
"""Digits to which numbers with roots, pi and the like are compared where both sides are exact (chosen)."""
_SHORT, _LONGEST = 40, 160
"""Characters up to which a value is shown exactly, and up to which it is shown at all; chosen."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A statement with nothing to compute on: a definition or a remark, as LaTeX. It is a term like others."""

    latex: str

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{formula}}{self.latex}"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A statement at concrete numbers.

    Attributes:
        setting: the numbers, in words.
        left: what the left side comes to, from the meaning of its symbols.
        right: what the right side comes to as stated, on a path of its own.
        wrong: what wrong variants of the statement come to, by their names.
        same: what variants come to that look wrong and are not, by their names: they must agree.
        printed: what the statement comes to as printed, where it is printed wrong and this exhibit shows it.
        digits: how many digits both sides have; None if they are exact.
    """

    setting: str
    left: Value
    right: Value
    wrong: Mapping[str, Callable[[], Value]] = field(default_factory=dict)
    same: Mapping[str, Callable[[], Value]] = field(default_factory=dict)
    printed: Callable[[], Value] | None = None
    digits: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "wrong", MappingProxyType(dict(self.wrong)))
        object.__setattr__(self, "same", MappingProxyType(dict(self.same)))

    def disagreement(self) -> str | None:
        """Return how the sides differ, or the left side and what says the same, in words with numbers; or None."""
        sides = (lambda: self.right, *self.same.values())
        return next((found for side in sides if (found := self._against(side))), None)

    def told_apart(self, name: str) -> str | None:
        """Return how a wrong variant differs from the left side, or None if it does not, or is not exhibited here."""
        return self._against(self.wrong[name]) if name in self.wrong else None

    def as_printed(self) -> str | None:
        """Return how the statement as printed differs from the left side, or None if not, or not exhibited here."""
        return self._against(self.printed) if self.printed else None

    def _against(self, other: Callable[[], Value]) -> str | None:
        try:
            value = other()
        except ShapeError as error:
            return f"{self.setting}: it has no meaning, the shapes do not fit ({str(error).rstrip('.')})"
        if _shape(value) != _shape(self.left):
            return f"{self.setting}: the left side is {_described(self.left)}, the right side {_described(value)}"
        pairs = zip(_entries(self.left), _entries(value), strict=True)
        if all(_same(x, y, self.digits) for x, y in pairs):
            return None
        return f"{self.setting}: {shown(self.left)} on the left, but {shown(value)} on the right"


def _shape(value: Value) -> tuple[int, ...]:
    return value.shape if isinstance(value, sp.MatrixBase) else ()


def _entries(value: Value) -> list[sp.Expr]:
    return list(value) if isinstance(value, sp.MatrixBase) else [sp.sympify(value)]


def _described(value: Value) -> str:
    return f"a {value.rows} x {value.cols} matrix" if isinstance(value, sp.MatrixBase) else "a number"


def _same(x: sp.Expr, y: sp.Expr, digits: int | None) -> bool:
    """Return whether two entries agree, exactly or to the digits they have.

    Raises:
        TypeError: if an entry is no number: nothing could be told apart.
    """
    difference = sp.expand(x - y)
    if difference.is_Rational and digits is None:
        return bool(difference == 0)
    size = sp.N(sp.Abs(difference), _EXACT)
    if not size.is_Float and size != 0:
        raise TypeError(f"expected numbers to compare, got {x} and {y}")
    scale = sp.Max(1, sp.N(sp.Abs(x), _EXACT))
    return bool(size <= scale * sp.Float(10) ** -(_EXACT - 5 if digits is None else digits))


def shown(value: Value) -> str:
    """Return a value as text: exact if that is short, else to six digits."""
    exact = _text(value)
    if len(exact) <= _SHORT:
        return exact
    rounded = _text(sp.N(value, 6))
    return rounded if len(rounded) <= _LONGEST else f"{rounded[: _LONGEST - 1]}…"


def _text(value: Value) -> str:
    if not isinstance(value, sp.MatrixBase):
        return str(value)
    if value.is_square and value.rows > 1 and value == value[0, 0] * sp.eye(value.rows):
        return f"{value[0, 0]} I_{value.rows}"
    return str(value.tolist())
