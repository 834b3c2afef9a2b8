"""The examiner's path for operator words: explicit matrices with rational entries.

``Theta = Q diag(lambda) Q^T`` with a rational rotation Q and eigenvalues that are squares of rationals, so that
``J = Q diag(sqrt(lambda)) P`` is rational too; once with positive eigenvalues, once with a zero one. A word is the
product of its matrices with the spectral projectors between them; time stays a symbol, gradient descent is iterated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, reduce
from itertools import product
from types import MappingProxyType

import sympy as sp

from derive import notation
from derive.instances import rational
from derive.notation import learning_rate, time
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OTHER,
    OUTPUTS,
    PARAMETERS,
    TEST,
    TRAINING,
    Letter,
    Operator,
    slot,
    word,
)
from derive.scalars import limit
from derive.theorem import Step, StepRefuted, Theorem

SIZES = {TRAINING: 2, TEST: 1, OTHER: 2, PARAMETERS: 3, OUTPUTS: 2}
SPECTRA = ((sp.Integer(4), sp.Rational(9, 4)), (sp.Integer(4), sp.Integer(0)))
"""A positive definite and a singular Theta."""

_ROTATION = sp.Matrix([[sp.Rational(3, 5), sp.Rational(-4, 5)], [sp.Rational(4, 5), sp.Rational(3, 5)]])
_ROWS = sp.Rational(1, 3) * sp.Matrix([[1, -2, -2], [-2, 1, -2]])  # two orthonormal rows


def jacobian(spectrum: tuple[sp.Expr, ...]) -> sp.Matrix:
    """Return J for a spectrum of Theta."""
    return _ROTATION * sp.diag(*map(sp.sqrt, spectrum)) * _ROWS


def features(letter: Letter) -> sp.Matrix:
    """Return what, times J^T, is a letter with columns X that vanishes on the kernel of Theta."""
    return _rational_matrix(letter.name, SIZES[letter.rows], SIZES[PARAMETERS])


def _rational_matrix(name: str, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix(rows, columns, lambda i, j: rational("letter", name, i, j))


def _letter(letter: Letter, spectrum: tuple[sp.Expr, ...], values: Mapping[Letter, sp.Matrix]) -> sp.Matrix:
    mirrored = letter.transpose
    if letter in values:
        return values[letter]
    if mirrored in values:
        return values[mirrored].T
    if letter == JACOBIAN:
        return jacobian(spectrum)
    if letter.belongs_to and letter.columns == TRAINING:
        return jacobian(spectrum).T if letter == JACOBIAN_T else features(letter) * jacobian(spectrum).T
    if letter.belongs_to or mirrored.name < letter.name:
        return _letter(mirrored, spectrum, values).T
    matrix = _rational_matrix(letter.name, SIZES[letter.rows], SIZES[letter.columns])
    return matrix + matrix.T if mirrored == letter else matrix


def value(operator: Operator, spectrum: tuple[sp.Expr, ...], values: Mapping[Letter, sp.Matrix]) -> sp.Matrix:
    """Return the explicit matrix of an operator for a spectrum of Theta, with letters in ``values`` fixed."""
    projectors = [_ROTATION[:, n] * _ROTATION[:, n].T for n in range(len(spectrum))]
    result = sp.zeros(SIZES[operator.rows], SIZES[operator.columns])
    for letters, pieces in operator.words.items():
        joints = len(pieces).bit_length() - 1
        for modes in product(range(len(spectrum)), repeat=joints):
            zero = sum(1 << n for n, mode in enumerate(modes) if spectrum[mode] == 0)
            g = pieces[zero].subs({slot(n): spectrum[mode] for n, mode in enumerate(modes)})
            left = iter(modes)
            factors = [projectors[next(left)]] if operator.rows == TRAINING else []
            for letter in letters:
                factors.append(_letter(letter, spectrum, values))
                if letter.columns == TRAINING:
                    factors.append(projectors[next(left)])
            result += g * reduce(lambda x, y: x * y, factors, sp.eye(SIZES[operator.rows]))
    return result.applyfunc(sp.expand)


def require_equal(step: Step, left: sp.Matrix, right: sp.Matrix) -> None:
    """Check that both sides of a step are the same matrix.

    Raises:
        StepRefuted: if they differ.
    """
    exact = (left - right).applyfunc(lambda entry: sp.cancel(entry) if entry.has(notation.noise) else sp.expand(entry))
    if exact != sp.zeros(*left.shape):
        raise StepRefuted(f"{step.rule} is wrong for explicit matrices: {left} against {right}")


def meanings(
    step: Step, spectrum: tuple[sp.Expr, ...], known: Mapping[Letter, sp.Matrix] = MappingProxyType({})
) -> dict[Letter, sp.Matrix]:
    """Return the values of letters, with those of letters that the step says stand for something."""
    values: dict[Letter, sp.Matrix] = {}
    for pair in step.used.meanings:
        for name, meaning in (pair, reversed(pair)):
            assert isinstance(name, Operator) and isinstance(meaning, Operator)  # operator rules speak of operators
            for letters in name.words:
                if len(letters) == 1 and name == word(letters[0]) and letters[0] not in values:
                    values[letters[0]] = value(meaning, spectrum, known)
                    break
    return {**known, **values}


_MANY = {learning_rate: sp.Rational(9, 20), notation.step: 400, notation.same_output: 3}
"""Many steps with a learning rate that is small enough for both spectra; the fastest mode changes its sign in each.
Less than 1e-38 of any mode is left."""


def _after_many(entry: sp.Expr) -> sp.Integer:
    """Return an entry after many steps, rounded to 30 digits behind the point."""
    return sp.Integer(round(entry.subs(_MANY) * 10**30))


_ENDS: Mapping[str, Callable[[sp.Expr], sp.Expr]] = {
    "at_time_zero": lambda entry: limit(entry, time, sp.S.Zero),
    "as_time_grows": lambda entry: limit(entry, time, sp.oo),
    "before_descent": lambda entry: entry.subs(notation.step, 0),
    "as_steps_grow": _after_many,
}
"""What the rules that go to an end of training do to each entry."""


@cache
def examine_rewriting(step: Step) -> int:
    """Return the number of spectra at which a rewriting of operators was re-checked.

    Raises:
        StepRefuted: if the two sides differ.
    """
    before, after = step.before, step.after
    assert isinstance(before, Operator) and isinstance(after, Operator)  # dispatched by the examiner
    spectra = SPECTRA[:1] if step.rule == "positive_definite" else SPECTRA
    for spectrum in spectra:
        values = meanings(step, spectrum)
        left, right = value(before, spectrum, values), value(after, spectrum, values)
        if step.rule in _ENDS:
            end = _ENDS[step.rule]
            left, right = left.applyfunc(end), right.applyfunc(end) if end is _after_many else right
        require_equal(step, left, right)
    return len(spectra)


def examine_flow(step: Step, theorem: Theorem) -> int:
    """Return the number of spectra at which a solution in time was differentiated and held against its rate.

    Raises:
        StepRefuted: if the derivative or the initial value is wrong.
    """
    (rate,) = theorem.premises
    after, state = step.after, step.before
    assert isinstance(after, Operator) and isinstance(state, Operator) and isinstance(rate.rhs, Operator)
    ((letter,),) = list(state.words)
    for spectrum in SPECTRA:
        solution = value(after, spectrum, {})
        require_equal(step, solution.diff(time), value(rate.rhs, spectrum, {letter: solution}))
        start = sp.zeros(*solution.shape)
        for _, initial in step.used.meanings:
            assert isinstance(initial, Operator)  # the initial value of a flow
            start = value(initial, spectrum, {})
        require_equal(step, solution.applyfunc(lambda entry: limit(entry, time, sp.S.Zero)), start)
    return len(SPECTRA)


def examine_descent(step: Step, theorem: Theorem) -> int:
    """Return the number of steps of gradient descent in which a solution was held against its recurrence.

    Raises:
        StepRefuted: if a change or the initial value is wrong.
    """
    (change,) = theorem.premises
    after, state = step.after, step.before
    assert isinstance(after, Operator) and isinstance(state, Operator) and isinstance(change.rhs, Operator)
    ((letter,),) = list(state.words)
    for spectrum in SPECTRA:
        known = {letter: sp.zeros(SIZES[state.rows], SIZES[state.columns])}
        for _, initial in step.used.meanings:
            assert isinstance(initial, Operator)  # the initial value
            known = {letter: value(initial, spectrum, {})}
        for n in range(_STEPS):
            require_equal(step, value(after, spectrum, {}).subs(notation.step, n), known[letter])
            changes = value(change.rhs, spectrum, known).subs(notation.step, n)
            known = {letter: (known[letter] + changes).applyfunc(sp.expand)}
    return _STEPS * len(SPECTRA)


_STEPS = 4
"""Steps that are iterated: two modes and a constant obey a recurrence of order three."""
