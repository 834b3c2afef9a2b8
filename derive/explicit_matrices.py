"""The examiner's path for operator words: explicit matrices with rational entries.

``Theta = Q diag(lambda) Q^T`` with a rational rotation Q and eigenvalues that are squares of rationals, so that
``J = Q diag(sqrt(lambda)) P`` is rational too; once with positive eigenvalues, once with a zero one. A word is the
product of its matrices with the spectral projectors between them; time stays a symbol.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from itertools import product

import sympy as sp

from derive.instances import rational
from derive.notation import time
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OUTPUTS,
    PARAMETERS,
    TEST,
    TRAINING,
    Letter,
    Operator,
    slot,
    word,
)
from derive.theorem import Step, StepRefuted, Theorem

SIZES = {TRAINING: 2, TEST: 1, PARAMETERS: 3, OUTPUTS: 2}
SPECTRA = ((sp.Integer(4), sp.Rational(9, 4)), (sp.Integer(4), sp.Integer(0)))
"""A positive definite and a singular Theta."""

_ROTATION = sp.Matrix([[sp.Rational(3, 5), sp.Rational(-4, 5)], [sp.Rational(4, 5), sp.Rational(3, 5)]])
_ROWS = sp.Rational(1, 3) * sp.Matrix([[1, -2, -2], [-2, 1, -2]])  # two orthonormal rows


def _jacobian(spectrum: tuple[sp.Expr, ...]) -> sp.Matrix:
    return _ROTATION * sp.diag(*map(sp.sqrt, spectrum)) * _ROWS


def _letter(letter: Letter, spectrum: tuple[sp.Expr, ...], values: Mapping[Letter, sp.Matrix]) -> sp.Matrix:
    if letter in values:
        return values[letter]
    if letter == JACOBIAN:
        return _jacobian(spectrum)
    if letter == JACOBIAN_T:
        return _jacobian(spectrum).T
    columns = PARAMETERS if letter.kills_kernel else letter.columns
    matrix = sp.Matrix(SIZES[letter.rows], SIZES[columns], lambda i, j: rational("letter", letter.name, i, j))
    return matrix * _jacobian(spectrum).T if letter.kills_kernel else matrix


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


def _require_equal(step: Step, left: sp.Matrix, right: sp.Matrix) -> None:
    if (left - right).applyfunc(sp.expand) != sp.zeros(*left.shape):
        raise StepRefuted(f"{step.rule} is wrong for explicit matrices: {left} against {right}")


def _meanings(step: Step, spectrum: tuple[sp.Expr, ...]) -> dict[Letter, sp.Matrix]:
    """Return the values of letters that the step says stand for something."""
    values: dict[Letter, sp.Matrix] = {}
    for pair in step.used.meanings:
        for name, meaning in (pair, reversed(pair)):
            assert isinstance(name, Operator) and isinstance(meaning, Operator)  # operator rules speak of operators
            for letters in name.words:
                if len(letters) == 1 and name == word(letters[0]) and letters[0] not in values:
                    values[letters[0]] = value(meaning, spectrum, {})
                    break
    return values


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
        values = _meanings(step, spectrum)
        left, right = value(before, spectrum, values), value(after, spectrum, values)
        if step.rule in ("at_time_zero", "as_time_grows"):
            end = 0 if step.rule == "at_time_zero" else sp.oo
            left = left.applyfunc(lambda entry, end=end: sp.limit(entry, time, end))
        _require_equal(step, left, right)
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
        _require_equal(step, solution.diff(time), value(rate.rhs, spectrum, {letter: solution}))
        start = sp.zeros(*solution.shape)
        for _, initial in step.used.meanings:
            assert isinstance(initial, Operator)  # the initial value of a flow
            start = value(initial, spectrum, {})
        _require_equal(step, solution.applyfunc(lambda entry: sp.limit(entry, time, 0)), start)
    return len(SPECTRA)
