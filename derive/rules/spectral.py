"""Rules of functional calculus: gradient flow of a linear model, solved mode by mode."""

from __future__ import annotations

import sympy as sp

from derive.model import Model
from derive.moments import Moment, each_operator
from derive.notation import eigenvalue, time
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    TRAINING,
    Letter,
    Operator,
    function_of_theta,
    in_words,
    is_value,
    letter_of,
    replaced,
    restricted_to_range,
    slot,
    substituted,
    word,
)
from derive.rules.traversal import require_same_model
from derive.scalars import flow, integral, limit
from derive.terms import Term
from derive.theorem import Conclusion, Rewriting, Theorem, inference, rule

POSITIVE_RATE = "the learning rate is positive"


def _product(pair: tuple[Letter, Letter]) -> Operator:
    return word(pair[0]) @ word(pair[1])


@rule("a name is replaced by its definition")
def definition(term: Term, model: Model, letter: Letter) -> Rewriting:
    """Return the operator, or the moment of operators, with a letter replaced by what it stands for in the model.

    Raises:
        ValueError: if the model does not say what it stands for.
    """
    meaning = dict(model.letters).get(letter)
    if meaning is None:
        raise ValueError(f"the model {model.name!r} does not say what {letter.name} stands for")
    after = each_operator(term, lambda operator: substituted(operator, letter, meaning))
    return Rewriting(after, meanings=((word(letter), meaning),))


@rule("the Gram matrix of the Jacobian is the operator Theta")
def gram(operator: Operator, model: Model) -> Rewriting:
    """Return the operator with ``J J^T`` replaced by Theta."""
    theta = function_of_theta(eigenvalue, eigenvalue)
    after = replaced(operator, (JACOBIAN, JACOBIAN_T), theta)
    return Rewriting(after, meanings=((_product((JACOBIAN, JACOBIAN_T)), theta),))


@rule("a product of two matrices is recognized as a named one")
def name_product(operator: Operator, model: Model, first: Letter, second: Letter) -> Rewriting:
    """Return the operator with a product of two letters replaced by the letter that the model has for it.

    Raises:
        ValueError: if the model has no name for the product.
    """
    names = {(left, right): name for left, right, name in model.products}
    if (first, second) not in names:
        raise ValueError(f"the model {model.name!r} has no name for the product of {first.name} and {second.name}")
    name = names[first, second]
    after = replaced(operator, (first, second), word(name))
    return Rewriting(after, meanings=((_product((first, second)), word(name)),))


@rule("J^T v = 0 whenever Theta v = 0: next to J^T, and to kernels made with it, only positive eigenvalues matter")
def range_of_jacobian(operator: Operator, model: Model) -> Operator:
    """Return the operator with functions next to letters that vanish on the kernel of Theta set to zero there."""
    return restricted_to_range(operator)


@rule("a proven equation replaces its left side")
def substitute_theorem(term: Term, model: Model, theorem: Theorem) -> Rewriting:
    """Return the operator, or moment of operators, with the letter left in a theorem replaced by the right side.

    Raises:
        TypeError: if the theorem is not on operators.
        ValueError: if it is only a limit and the term a moment: a limit is not taken inside a mean.
    """
    require_same_model(model, theorem)
    if not (isinstance(theorem.lhs, Operator) and isinstance(theorem.rhs, Operator)):
        raise TypeError("expected a theorem on operators")
    if isinstance(term, Moment) and theorem.relation == "→":
        raise ValueError("expected an exact theorem: a limit is not taken inside a mean or covariance")
    letter, by = letter_of(theorem.lhs), theorem.rhs
    after = each_operator(term, lambda operator: substituted(operator, letter, by))
    return Rewriting(
        after,
        theorem.assumptions,
        theorem.limits,
        theorem.hypotheses,
        (theorem,),
        meanings=((theorem.lhs, theorem.rhs),),
    )


@rule("at time zero")
def at_time_zero(operator: Operator, model: Model) -> Operator:
    """Return the value of the operator at t = 0."""
    return operator.map(lambda g: limit(g, time, sp.S.Zero))


@rule("as time grows every decaying mode vanishes", relation="→")
def as_time_grows(operator: Operator, model: Model) -> Rewriting:
    """Return the limit t to infinity, taken in every mode, for positive eigenvalues and on the kernel of Theta apart.

    Raises:
        ValueError: if a mode does not converge, as a linearly growing one on the kernel would not.
    """
    try:
        final = operator.map(lambda g: limit(g, time, sp.oo))
    except NotImplementedError as error:
        raise ValueError(f"a mode of {operator.key} does not converge as time grows, as far as is known") from error
    if not all(is_value(p) for pieces in final.words.values() for p in pieces):
        raise ValueError(f"a mode of {operator.key} does not converge as time grows")
    return Rewriting(final, (POSITIVE_RATE,), (time,))


@rule("the kernel of Theta is trivial: every eigenvalue is positive")
def positive_definite(operator: Operator, model: Model) -> Rewriting:
    """Return the operator for positive definite Theta: what happens on the kernel is dropped."""
    words = ((w, (pieces[0], *(sp.S.Zero for _ in pieces[1:]))) for w, pieces in operator.words.items())
    return Rewriting(
        Operator(operator.rows, operator.columns, words), ("Theta on the training set is positive definite",)
    )


@inference("a linear equation with one self-adjoint operator is solved mode by mode, here by dsolve, and checked")
def solve_mode(rate: Theorem, state: Operator, target: Operator, initial: Operator) -> Conclusion:
    """Return the solution of ``d/dt f = A (f - target)``, ``f = initial`` at t = 0, with A a function of Theta.

    The scalar equation of one mode is solved by SymPy; the lifted solution is differentiated again and compared.

    Raises:
        ValueError: if the rate is not of that form, or the solution does not satisfy the equation.
    """
    right = _exact_rate(rate, state)
    ((_, pieces),) = [item for item in right.words.items() if item[0] == (letter_of(state),)]
    generator = Operator(TRAINING, TRAINING, [((), pieces)])
    if right != generator @ (state - target):
        raise ValueError("expected a rate of the form A (state - target)")
    y = sp.Function("y")
    y0, goal = sp.symbols("y0 goal")
    mode = pieces[0].subs(slot(0), eigenvalue)
    solved = flow(mode * (y(time) - goal), y(time), y0).expand()
    of_initial, of_target = (function_of_theta(solved.coeff(s), eigenvalue) for s in (y0, goal))
    solution = of_initial @ initial + of_target @ target
    if solution.map(lambda g: sp.diff(g, time)) != generator @ (solution - target):
        raise ValueError("the solution does not satisfy the equation")
    if solution.map(lambda g: limit(g, time, sp.S.Zero)) != initial:
        raise ValueError("the solution does not start at the initial value")
    start = f"at t = 0, {letter_of(state).name} is {in_words(initial)}"
    return Conclusion(state, "=", solution, assumptions=(start,), meanings=((state, initial),))


@inference("a quantity that starts at zero is the integral of its rate, taken mode by mode")
def integrate_rate(rate: Theorem, quantity: Operator) -> Conclusion:
    """Return ``quantity_t``, zero at t = 0, from the theorem on its rate with all functions of time explicit."""
    right = _exact_rate(rate, quantity)
    result = right.map(_integrated)
    if result.map(lambda g: sp.diff(g, time)) != right or result.map(lambda g: limit(g, time, sp.S.Zero)).words:
        raise ValueError("the integral does not have the given rate, or does not start at zero")
    return Conclusion(quantity, "=", result, assumptions=(f"at t = 0, {letter_of(quantity).name} is 0",))


def _exact_rate(rate: Theorem, state: Operator) -> Operator:
    """Return the right side of an exact theorem on the rate of a state.

    Raises:
        TypeError: if the theorem is not on operators.
        ValueError: if it is only a limit, or about the rate of something else.
    """
    if not (isinstance(rate.lhs, Operator) and isinstance(rate.rhs, Operator)):
        raise TypeError("expected a theorem on operators")
    if rate.relation != "=" or rate.limits:
        raise ValueError("expected an exact rate at every time, not a limit")
    if letter_of(rate.lhs).rate_of != letter_of(state).name:
        raise ValueError(f"{letter_of(rate.lhs).name} is not the rate of {letter_of(state).name}")
    return rate.rhs


_ELAPSED = sp.Dummy("s", positive=True)


def _integrated(g: sp.Expr) -> sp.Expr:
    """Return the integral of a function of time from 0 on, term by term."""
    terms = sp.Add.make_args(sp.expand(g))
    return sp.expand(sp.Add(*(integral(term.subs(time, _ELAPSED), _ELAPSED, time) for term in terms)))
