"""Both sides of a theorem as ordinary SymPy, for display and further use outside the trusted core.

Sums become ``Sum``, families ``IndexedBase``, deltas ``KroneckerDelta``, activations and expectations undefined
functions, functions of Theta a product of noncommutative symbols. What SymPy does with them afterwards (it captures
bound variables in ``subs`` and ``diff``) is not checked by anything here.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from derive import notation
from derive.duals.series import HermiteSeries, K
from derive.duals.theorems import ClosedForm, GaussianMean
from derive.laws import GaussianProcess, Law
from derive.moments import Moment
from derive.operators import Operator, slot
from derive.terms import Atom, Delta, Expression, Factor, Index, Mean, Partial, Term


def to_sympy(term: Term) -> sp.Expr:
    """Return a term as a SymPy expression.

    Raises:
        TypeError: for a term of an unknown kind.
    """
    match term:
        case Expression():
            return _expression(term, {})
        case Law(variable, _):
            return sp.Function("Law")(_atom(variable, {}))
        case GaussianProcess(covariance):
            return sp.Function("GaussianProcess")(0, to_sympy(covariance))
        case Operator():
            return _operator(term)
        case Moment(of, given):
            observed = (sp.Eq(_operator(given.observed), _operator(given.value), evaluate=False),) if given else ()
            return sp.Function("E" if len(of) == 1 else "Cov")(*map(_operator, of), *observed)
        case GaussianMean(activation, order):
            u, v = sp.symbols("u v", real=True)
            f = activation.derivative if order else activation.expression
            return sp.Function("E")(f.subs(notation.z, u) * f.subs(notation.z, v))
        case ClosedForm(expression):
            return expression
        case HermiteSeries(_, order, weight):
            means = sp.Function("dA" if order else "A")
            return sp.Sum(weight * means(K, notation.a) * means(K, notation.b), (K, 0, sp.oo))
    raise TypeError(f"no SymPy form is known for a {type(term).__name__}")


def _symbol(index: Index, names: Mapping[Index, sp.Symbol]) -> sp.Expr:
    return names.get(index, sp.Integer(1) if index.is_literal else sp.Symbol(index.name, integer=True, positive=True))


def _expression(expression: Expression, names: Mapping[Index, sp.Symbol]) -> sp.Expr:
    result = sp.S.Zero
    for bound, factors, coefficient in expression:
        here = dict(names)
        for index in bound:
            here[index] = sp.Symbol(f"j{len(here)}", integer=True, positive=True)
        term = coefficient * sp.Mul(*(_factor(f, here) for f in factors))
        for index in bound:
            term = sp.Sum(term, (here[index], 1, index.dimension))
        result += term
    return result


def _factor(factor: Factor, names: Mapping[Index, sp.Symbol]) -> sp.Expr:
    match factor:
        case Atom():
            return _atom(factor, names)
        case Delta(first, second):
            return sp.KroneckerDelta(_symbol(first, names), _symbol(second, names))
        case Mean(body, given):
            arguments = [_expression(body, names), *(sp.Symbol(f"given_{head}") for head in given)]
            return sp.Function("E")(*arguments)
        case Partial(body, parameter):
            return sp.Derivative(_expression(body, names), _atom(parameter, names), evaluate=False)


def _atom(a: Atom, names: Mapping[Index, sp.Symbol]) -> sp.Expr:
    indices = [_symbol(i, names) for i in a.indices]
    inputs = [sp.Symbol(x) for x in a.inputs]
    label = a.head if a.layer is None else f"{a.head}^{{{a.layer}}}"
    if a.head in ("phi", "dphi"):
        return sp.Function(a.head)(sp.Function(f"z^{{{a.layer}}}")(*indices, *inputs))
    if a.head == "input":
        return sp.IndexedBase(a.inputs[0])[tuple(indices)]
    if inputs:
        return sp.Function(label)(*indices, *inputs)
    return sp.IndexedBase(label)[tuple(indices)] if indices else sp.Symbol(label)


def _operator(operator: Operator) -> sp.Expr:
    result = sp.S.Zero
    for letters, pieces in operator.words.items():
        factors = [sp.Symbol(letter.name, commutative=False) for letter in letters]
        joints = [slot(n) for n in range(len(pieces).bit_length() - 1)]
        if not any(pieces[0].has(joint) for joint in joints):
            result += sp.Mul(pieces[0], *factors)
            continue
        if len(joints) == 1:
            function = pieces[0].subs(slot(0), notation.eigenvalue)
            position = next((n for n, letter in enumerate(letters) if letter.rows.name == "X"), len(letters))
        else:  # what stands at the joints is a function of all of them, given in front
            function, position = pieces[0], 0
        factors.insert(position, sp.Function("g", commutative=False)(function))
        result += sp.Mul(*factors)
    return result
