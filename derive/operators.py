"""Functional calculus of one self-adjoint operator: words of typed matrices with functions of Theta between them.

The training set spans the space X, on which ``Theta = J J^T`` acts. A word is a product of letters (matrices with typed
rows and columns); at every joint on X stands a scalar function g, meaning ``g(Theta)``. Functions of one self-adjoint
operator commute and multiply as scalars, so products, time derivatives, integrals, limits and ``dsolve`` act on g.

A word with m joints on X has one function of ``lambda_0, ..., lambda_{m-1}``, given separately where an eigenvalue is
positive and where it is zero: nothing here inverts Theta, and duplicated training inputs need no special case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from derive.scalars import limit


class IllTyped(TypeError):
    """A product of matrices whose shapes do not fit; the message names both."""


@dataclass(frozen=True, slots=True)
class Space:
    """A space that rows or columns of a matrix range over."""

    name: str


TRAINING = Space("X")
TEST, OTHER = Space("x"), Space("x'")
"""Two sets of test inputs: a covariance has two arguments."""
PARAMETERS = Space("theta")
OUTPUTS = Space("outputs")


@dataclass(frozen=True, slots=True)
class Letter:
    """A matrix with typed rows and columns.

    Attributes:
        name: its name; ``latex`` its printed form.
        rows, columns: the spaces it maps to and from.
        belongs_to: printed form of the operator on X that it is made with, if it, or its transpose, vanishes on the
            kernel of that operator (as J^T vanishes on that of Theta); "" for any other matrix.
        rate_of: name of the letter whose rate in time it is, or "".
        step_of: name of the letter whose change in one step of gradient descent it is, or "".
        mirror: name and printed form of the transpose; by default this one's with a T.
    """

    name: str
    rows: Space
    columns: Space
    latex: str = ""
    belongs_to: str = ""
    rate_of: str = ""
    step_of: str = ""
    mirror: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        if not self.mirror[0]:
            object.__setattr__(self, "mirror", (f"{self.name}^T", rf"{self.latex}^{{\top}}"))

    @property
    def transpose(self) -> Letter:
        """Return the transpose, whose transpose is this letter again."""
        name, latex = self.mirror
        return Letter(name, self.columns, self.rows, latex, self.belongs_to, mirror=(self.name, self.latex))


THETA_HAT = r"\hat{\Theta}"
JACOBIAN = Letter("J", TRAINING, PARAMETERS, "J", belongs_to=THETA_HAT)
JACOBIAN_T = JACOBIAN.transpose
"""The two letters the operator is made of: ``Theta = J J^T``."""


def slot(position: int) -> sp.Symbol:
    """Return the spectral variable of the joint at a position."""
    return sp.Symbol(f"lambda_{position}", positive=True)


def _joints(letters: tuple[Letter, ...], rows: Space) -> int:
    """Return how many joints of a word lie on X; an empty word is the identity of ``rows``."""
    return int(rows == TRAINING) + sum(letter.columns == TRAINING for letter in letters)


Pieces = tuple[sp.Expr, ...]
"""A function of m eigenvalues: entry ``n`` is its value where the eigenvalues at the set bits of n are zero."""


class Operator:
    """A sum of words between two spaces, in normal form: one function per sequence of letters."""

    def __init__(self, rows: Space, columns: Space, words: Iterable[tuple[tuple[Letter, ...], Pieces]]) -> None:
        self.rows, self.columns = rows, columns
        collected: dict[tuple[Letter, ...], Pieces] = {}
        for letters, pieces in words:
            _require_typed(rows, columns, letters, pieces)
            before = collected.get(letters, (sp.S.Zero,) * len(pieces))
            collected[letters] = tuple(_normal(p + q) for p, q in zip(before, pieces, strict=True))
        kept = ((w, p) for w, p in collected.items() if any(x != 0 for x in p))
        self.words: Mapping[tuple[Letter, ...], Pieces] = dict(
            sorted(kept, key=lambda item: [letter.name for letter in item[0]])
        )

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        words = " + ".join(f"{pieces}{'.'.join(x.name for x in letters)}" for letters, pieces in self.words.items())
        return f"{{operator}}{self.rows.name}<-{self.columns.name}|{words}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operator) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Operator({self.key})"

    def __add__(self, other: Operator) -> Operator:
        if (self.rows, self.columns) != (other.rows, other.columns):
            raise IllTyped(f"cannot add {_shape(other)} to {_shape(self)}")
        return Operator(self.rows, self.columns, [*self.words.items(), *other.words.items()])

    def __rmul__(self, scalar: sp.Expr | int) -> Operator:
        scaled = ((w, tuple(scalar * p for p in pieces)) for w, pieces in self.words.items())
        return Operator(self.rows, self.columns, scaled)

    def __sub__(self, other: Operator) -> Operator:
        return self + -1 * other

    def __matmul__(self, other: Operator) -> Operator:
        """Return the product.

        Raises:
            IllTyped: if the columns of the left factor are not the rows of the right one.
        """
        if self.columns != other.rows:
            raise IllTyped(
                f"cannot multiply {_shape(self)} by {_shape(other)}: the left factor has columns in "
                f"{self.columns.name}, the right one rows in {other.rows.name}"
            )
        shared = self.columns == TRAINING
        return Operator(
            self.rows,
            other.columns,
            (
                (left + right, _times(p, _joints(left, self.rows), q, _joints(right, other.rows), shared))
                for left, p in self.words.items()
                for right, q in other.words.items()
            ),
        )

    def map(self, function: Callable[[sp.Expr], sp.Expr]) -> Operator:
        """Return the operator with a linear map (derivative, integral, limit in time) applied to every function."""
        mapped = ((w, tuple(function(p) for p in pieces)) for w, pieces in self.words.items())
        return Operator(self.rows, self.columns, mapped)


def _normal(function: sp.Expr) -> sp.Expr:
    """Return a function expanded; a rational one, as ``1/(lambda + s^2)``, with numerator and denominator coprime."""
    expanded = sp.expand(function)
    fractions = (p for p in expanded.atoms(sp.Pow) if p.base.is_Add and p.exp.is_negative)
    return sp.cancel(expanded) if any(fractions) else expanded


def _require_typed(rows: Space, columns: Space, letters: tuple[Letter, ...], pieces: Pieces) -> None:
    """Check that letters fit each other and the shape of the operator, and that every joint on X has its function.

    Raises:
        IllTyped: if they do not.
    """
    spaces = [rows, *(space for letter in letters for space in (letter.rows, letter.columns)), columns]
    for left, right in zip(spaces[::2], spaces[1::2], strict=True):
        if left != right:
            word_ = " ".join(letter.name for letter in letters) or "the identity"
            raise IllTyped(
                f"{word_} does not fit the shape {rows.name} x {columns.name}: {left.name} meets {right.name}"
            )
    joints = _joints(letters, rows)
    if len(pieces) != 1 << joints:
        raise IllTyped(f"a word with {joints} joints on X needs {1 << joints} pieces, got {len(pieces)}")


def _shape(operator: Operator) -> str:
    return f"a matrix of shape {operator.rows.name} × {operator.columns.name}"


def _times(left: Pieces, m: int, right: Pieces, n: int, shared: bool) -> Pieces:
    """Return the product of functions of m and n eigenvalues, the last of the left being the first of the right."""
    joints = m + n - shared
    offset = m - shared
    moved = [q.subs({slot(i): slot(i + offset) for i in reversed(range(n))}, simultaneous=True) for q in right]
    return tuple(left[bits & ((1 << m) - 1)] * moved[bits >> offset] for bits in range(1 << joints))


def transposed(operator: Operator) -> Operator:
    """Return the transpose: every word read backwards, with its letters transposed and its function in place."""
    words = []
    for letters, pieces in operator.words.items():
        joints = _joints(letters, operator.rows)
        swap = {slot(n): slot(joints - 1 - n) for n in range(joints)}
        backwards = [sum((bits >> n & 1) << (joints - 1 - n) for n in range(joints)) for bits in range(len(pieces))]
        functions = tuple(pieces[bits].subs(swap, simultaneous=True) for bits in backwards)
        words.append((tuple(letter.transpose for letter in reversed(letters)), functions))
    return Operator(operator.columns, operator.rows, words)


def identity(space: Space) -> Operator:
    """Return the identity of a space."""
    return Operator(space, space, [((), (sp.S.One,) * (1 << _joints((), space)))])


def word(letter: Letter) -> Operator:
    """Return a letter as an operator."""
    joints = _joints((letter,), letter.rows)
    return Operator(letter.rows, letter.columns, [((letter,), (sp.S.One,) * (1 << joints))])


def letter_of(operator: Operator) -> Letter:
    """Return the letter that an operator consists of.

    Raises:
        TypeError: if it is anything but one letter.
    """
    match list(operator.words):
        case [(letter,)] if operator == word(letter):
            return letter
    raise TypeError("expected a single letter")


def in_words(operator: Operator) -> str:
    """Return a sum of letters in words, for an assumption."""
    return " + ".join(" ".join(letter.name for letter in letters) for letters in operator.words) or "0"


def function_of_theta(at: sp.Expr, eigenvalue: sp.Symbol) -> Operator:
    """Return ``g(Theta)`` for a function that extends continuously to zero, given as an expression in ``eigenvalue``.

    Raises:
        ValueError: if the function has no value at zero; give its pieces to :class:`Operator` instead.
    """
    at_zero = limit(at, eigenvalue, sp.S.Zero)
    if not is_value(at_zero):
        raise ValueError(f"{at} does not extend continuously to the eigenvalue zero, its limit is {at_zero}")
    return Operator(TRAINING, TRAINING, [((), (at.subs(eigenvalue, slot(0)), at_zero))])


def is_value(expression: sp.Expr) -> bool:
    """Return whether a limit is a value, not infinite, undefined or a range of values."""
    bad = sp.oo, -sp.oo, sp.zoo, sp.nan, sp.AccumBounds
    return not expression.has(*bad)


def replaced(operator: Operator, pair: tuple[Letter, Letter], by: Operator) -> Operator:
    """Return the operator with every product of two adjacent letters replaced by an operator of the same shape.

    Raises:
        IllTyped: if the letters meet on X, where a function of Theta stands between them.
    """
    if pair[0].columns == TRAINING:
        raise IllTyped(f"{pair[0].name} and {pair[1].name} meet on X: a function of Theta stands between them")
    for letters in operator.words:
        for n in range(len(letters) - 1):
            if letters[n : n + 2] == pair:
                return replaced(_spliced(operator, letters, n, 2, by), pair, by)
    return operator


def substituted(operator: Operator, letter: Letter, by: Operator) -> Operator:
    """Return the operator with a letter replaced by an operator of the same shape."""
    if (letter.rows, letter.columns) != (by.rows, by.columns):
        raise IllTyped(f"{letter.name} is of shape {letter.rows.name} × {letter.columns.name}, not {_shape(by)}")
    for letters in operator.words:
        if letter in letters:
            return substituted(_spliced(operator, letters, letters.index(letter), 1, by), letter, by)
    return operator


def _spliced(operator: Operator, letters: tuple[Letter, ...], start: int, length: int, by: Operator) -> Operator:
    """Return the operator with ``length`` letters of one word from ``start`` replaced, its function kept in place."""
    pieces = operator.words[letters]
    before = _joints(letters[:start], operator.rows) - (letters[start].rows == TRAINING)
    closes = letters[start + length - 1].columns == TRAINING
    after = _joints(letters, operator.rows) - _joints(letters[: start + length], operator.rows)
    words = [(w, p) for w, p in operator.words.items() if w != letters]
    for inner, inner_pieces in by.words.items():
        inside = _joints(inner, by.rows)
        # where the joints of the old word, without those inside the replaced letters, stand in the new word
        kept = [*range(before), *([before] if letters[start].rows == TRAINING else [])]
        kept += [*([before + inside - 1] if closes else []), *range(before + inside, before + inside + after)]
        new = []
        for bits in range(1 << (before + inside + after)):
            outer_bits = sum((bits >> p & 1) << n for n, p in enumerate(kept))
            outer = pieces[outer_bits].subs({slot(n): slot(p) for n, p in enumerate(kept)}, simultaneous=True)
            inner_part = inner_pieces[bits >> before & ((1 << inside) - 1)]
            new.append(outer * inner_part.subs({slot(n): slot(before + n) for n in range(inside)}, simultaneous=True))
        words.append((letters[:start] + inner + letters[start + length :], tuple(new)))
    return Operator(operator.rows, operator.columns, words)


def restricted_to_range(operator: Operator) -> Operator:
    """Return the operator with functions next to letters that vanish on the kernel set to zero at eigenvalue zero."""
    words = []
    for letters, pieces in operator.words.items():
        killed = []
        for n, letter in enumerate(letters):
            if letter.belongs_to and letter.rows == TRAINING:
                killed.append(_joints(letters[:n], operator.rows) - 1)
            if letter.belongs_to and letter.columns == TRAINING:
                killed.append(_joints(letters[: n + 1], operator.rows) - 1)
        words.append(
            (letters, tuple(sp.S.Zero if any(b >> k & 1 for k in killed) else p for b, p in enumerate(pieces)))
        )
    return Operator(operator.rows, operator.columns, words)
