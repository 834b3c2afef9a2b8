"""The examiner's path for means and covariances over initialization: explicit random matrices.

What is random is ``L xi`` with a rational L and independent standard normals xi, one column for each output. A moment
follows from the derivatives by xi; a conditional one from the pseudo-inverse of the covariance of the data.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from derive.explicit_matrices import SIZES, SPECTRA, jacobian, meanings, require_equal, value
from derive.instances import rational
from derive.model import Model
from derive.moments import Data, Moment, covariance
from derive.notation import eigenvalue, noise, same_output
from derive.operators import OUTPUTS, PARAMETERS, Letter, Operator, function_of_theta, identity, word
from derive.theorem import Step, StepRefuted, Theorem

Values = Mapping[Letter, sp.Matrix]
_NORMAL = "xi of "
Pair = tuple[int, int]
"""Two outputs."""

_PAIRS = ((0, 0), (0, 1))
_THETA = function_of_theta(eigenvalue, eigenvalue)


def _sources(model: Model, spectrum: tuple[sp.Expr, ...]) -> dict[Letter, tuple[str, sp.Matrix]]:
    """Return, for each random letter of a model, the name of its normals and the matrix L they are multiplied by."""
    found = {}
    for first, second, between in model.covariances:
        for letter in (first, second):
            if (first, second) == (letter, letter) and between == identity(letter.rows):
                found[letter] = letter.name, sp.eye(SIZES[letter.rows])
            elif (first, second) == (letter, letter) and between == _THETA:
                found[letter] = "process", jacobian(spectrum)
            elif letter not in found:
                rows, columns = SIZES[letter.rows], SIZES[PARAMETERS]
                found[letter] = (
                    "process",
                    sp.Matrix(rows, columns, lambda i, j, x=letter: rational("root", x.name, i, j)),
                )
    return found


def random_values(model: Model, spectrum: tuple[sp.Expr, ...]) -> dict[Letter, sp.Matrix]:
    """Return values of the random letters of a model, of their covariances, and of what is defined by them.

    Raises:
        StepRefuted: if no random letters of this kind have the covariances that the model states.
    """
    sources = _sources(model, spectrum)
    values: dict[Letter, sp.Matrix] = {}
    for letter, (source, root) in sources.items():
        values[letter] = root * sp.Matrix(root.cols, SIZES[OUTPUTS], lambda i, j, name=source: _normal(name, i, j))
    exact = {}
    for first, second, between in model.covariances:
        (source, left), (other, right) = sources[first], sources[second]
        exact[first, second] = left * right.T if source == other else sp.zeros(left.rows, right.rows)
        match list(between.words):
            case [(letter,)] if between == word(letter):
                values[letter] = exact[first, second]
    for first, second, between in model.covariances:
        if (value(between, spectrum, values) - exact[first, second]).applyfunc(sp.expand).values():
            raise StepRefuted(
                f"no example is known of the covariance of {first.name} and {second.name} in {model.name}"
            )
    for letter, meaning in model.letters:
        match list(meaning.words):
            case [(weights, known)] if known in values and {letter, letter.transpose} & values.keys():
                # a covariance that is given says what the weights are
                values[weights] = value(word(letter), spectrum, values) * values[known].inv()
    for letter, meaning in model.letters:
        if any(x in sources for letters in meaning.words for x in letters):
            values[letter] = value(meaning, spectrum, values)
    return values


def _normal(source: str, row: int, column: int) -> sp.Symbol:
    return sp.Symbol(f"{_NORMAL}{source}_{row}_{column}", real=True)


def _moment(moment: Moment, spectrum: tuple[sp.Expr, ...], values: Values, outputs: Pair) -> sp.Matrix:
    """Return an unconditional mean (of all outputs), or the covariance of two outputs.

    Raises:
        StepRefuted: if it is of something that is not linear in the normals.
    """
    matrices = [value(operator, spectrum, values) for operator in moment.of]
    normals = sorted({s for m in matrices for s in m.free_symbols if s.name.startswith(_NORMAL)}, key=str)
    if len(matrices) == 1:
        return matrices[0].subs(dict.fromkeys(normals, 0))
    first, second = (matrix[:, k].jacobian(normals) for matrix, k in zip(matrices, outputs, strict=True))
    if first.has(*normals) or second.has(*normals):
        raise StepRefuted("a covariance is of something that is not linear in what is random")
    return first * second.T


def _at_outputs(matrix: sp.Matrix, outputs: Pair) -> sp.Matrix:
    return matrix.subs(same_output, int(outputs[0] == outputs[1]))


def examine_moment(step: Step) -> int:
    """Return the number of spectra and pairs of outputs at which a rewriting of a moment was re-checked.

    Raises:
        StepRefuted: if the two sides differ.
    """
    before, after = step.before, step.after
    assert isinstance(before, Moment) and isinstance(after, Moment | Operator)  # dispatched by the examiner
    for spectrum in SPECTRA:
        values = meanings(step, spectrum, random_values(step.model, spectrum))
        for outputs in _PAIRS:
            left = _moment(before, spectrum, values, outputs)
            if isinstance(after, Moment):
                require_equal(step, left, _moment(after, spectrum, values, outputs))
            else:
                require_equal(step, left, _at_outputs(value(after, spectrum, values), outputs))
    return len(SPECTRA) * len(_PAIRS)


def examine_conditioning(step: Step, theorem: Theorem) -> int:
    """Return the number of spectra and pairs of outputs at which a conditional moment was re-checked.

    Raises:
        StepRefuted: if it is not what the joint covariance of all outputs gives.
    """
    before, after = step.before, step.after
    if not (isinstance(before, Moment) and isinstance(after, Operator) and before.given):
        raise StepRefuted(f"{step.rule} concludes something else than a conditional moment")
    for spectrum in SPECTRA:
        values = random_values(theorem.model, spectrum)
        claimed = value(after, spectrum, values)
        for outputs in _PAIRS:
            exact = _conditional(before, before.given, spectrum, values, outputs)
            require_equal(step, exact.subs(noise, _NOISE), _at_outputs(claimed, outputs).subs(noise, _NOISE))
    return len(SPECTRA) * len(_PAIRS)


_NOISE = sp.Rational(2, 3)


def _conditional(moment: Moment, data: Data, spectrum: tuple[sp.Expr, ...], values: Values, outputs: Pair) -> sp.Matrix:
    """Return a conditional moment from the joint covariance of every output of the data and of the quantities."""
    every = range(SIZES[OUTPUTS])

    def blocks(first: Operator, second: Operator, rows: tuple[int, ...], columns: tuple[int, ...]) -> sp.Matrix:
        joint = [
            [_moment(covariance(first, second), spectrum, values, (j, k)).subs(noise, _NOISE) for k in columns]
            for j in rows
        ]
        return sp.Matrix(sp.BlockMatrix(joint))

    seen = data.observed
    inverse = blocks(seen, seen, tuple(every), tuple(every)).pinv()
    if len(moment.of) == 1:
        observed = value(data.value, spectrum, values)
        stacked = sp.Matrix.vstack(*(observed[:, k] for k in every))
        means = [blocks(moment.of[0], seen, (k,), tuple(every)) * inverse * stacked for k in every]
        return sp.Matrix.hstack(*means)
    first, second = moment.of
    explained = blocks(first, seen, (outputs[0],), tuple(every)) * inverse
    explained = explained * blocks(seen, second, tuple(every), (outputs[1],))
    return blocks(first, second, (outputs[0],), (outputs[1],)) - explained


def examine_agreement(step: Step, theorem: Theorem) -> int:
    """Return the number of spectra at which the right sides of two theorems were found to be the same.

    Raises:
        StepRefuted: if they are not, or the conclusion is not about the left sides.
    """
    first, second = theorem.premises
    if (step.before.key, step.after.key) != (first.lhs.key, second.lhs.key):
        raise StepRefuted(f"{step.rule} concludes something else than that the left sides are equal")
    assert isinstance(first.rhs, Operator) and isinstance(second.rhs, Operator)  # of theorems on moments
    for spectrum in SPECTRA:
        require_equal(step, value(first.rhs, spectrum, {}), value(second.rhs, spectrum, {}))
    return len(SPECTRA)
