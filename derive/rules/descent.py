"""Rules of functional calculus for gradient descent: linear recurrences, solved mode by mode."""

from __future__ import annotations

import sympy as sp

from derive.model import Model
from derive.notation import eigenvalue, learning_rate, step
from derive.operators import (
    TRAINING,
    Operator,
    function_of_theta,
    in_words,
    letter_of,
    slot,
)
from derive.scalars import recurrence
from derive.theorem import Conclusion, Rewriting, Theorem, inference, rule

SMALL_STEPS = "the learning rate times the largest eigenvalue of Theta is less than 2"


@inference("a linear recurrence with one self-adjoint operator is solved mode by mode, here by rsolve, and checked")
def solve_recurrence(change: Theorem, state: Operator, target: Operator, initial: Operator) -> Conclusion:
    """Return the solution of ``f_{t+1} - f_t = A (f_t - target)`` from ``f_0 = initial``, A a function of Theta.

    The scalar recurrence of one mode is solved by SymPy; the lifted solution is put into the recurrence again.

    Raises:
        ValueError: if the change is not of that form, or the solution does not satisfy the recurrence.
    """
    right = _exact_change(change, state)
    pieces = right.words.get((letter_of(state),))
    if pieces is None or right != (generator := Operator(TRAINING, TRAINING, [((), pieces)])) @ (state - target):
        raise ValueError("expected a change of the form A (state - target)")
    y, (y0, goal) = sp.Function("y"), sp.symbols("y0 goal")
    mode = pieces[0].subs(slot(0), eigenvalue)
    solved = recurrence(y(step + 1) - y(step) - mode * (y(step) - goal), y(step), y0).expand()
    of_initial, of_target = (function_of_theta(solved.coeff(s), eigenvalue) for s in (y0, goal))
    solution = of_initial @ initial + of_target @ target
    if _increment(solution) != generator @ (solution - target):
        raise ValueError("the solution does not satisfy the recurrence")
    if _at(solution, 0) != initial:
        raise ValueError("the solution does not start at the initial value")
    start = f"at t = 0, {letter_of(state).name} is {in_words(initial)}"
    return Conclusion(state, "=", solution, assumptions=(start,), meanings=((state, initial),))


@inference("a quantity that starts at zero is the sum of its changes, taken mode by mode")
def sum_changes(change: Theorem, quantity: Operator) -> Conclusion:
    """Return ``quantity_t``, zero at t = 0, from the theorem on its change with all functions of t explicit.

    Raises:
        ValueError: if the sum does not have the given change, or does not start at zero.
    """
    right = _exact_change(change, quantity)
    y = sp.Function("y")
    result = right.map(lambda g: recurrence(y(step + 1) - y(step) - sp.powsimp(g), y(step), sp.S.Zero))
    if _increment(result) != right or _at(result, 0).words:
        raise ValueError("the sum does not have the given change, or does not start at zero")
    return Conclusion(quantity, "=", result, assumptions=(f"at t = 0, {letter_of(quantity).name} is 0",))


@rule("before the first step")
def before_descent(operator: Operator, model: Model) -> Operator:
    """Return the value of the operator after no step."""
    return _at(operator, 0)


@rule("each step multiplies a mode by 1 - eta lambda, which lies between -1 and 1", relation="→")
def as_steps_grow(operator: Operator, model: Model) -> Rewriting:
    """Return the limit of many steps, taken in every mode, for positive eigenvalues and on the kernel of Theta apart.

    Raises:
        ValueError: if a mode does not converge, as a linearly growing one on the kernel would not.
    """
    factors = [1 - learning_rate * slot(n) for n in range(max(map(len, operator.words.values()), default=1))]

    def limit(g: sp.Expr) -> sp.Expr:
        powers = [p for p in g.atoms(sp.Pow) if p.base in factors and sp.cancel(p.exp / step).is_positive]
        return g.subs(dict.fromkeys(powers, 0))

    result = operator.map(limit)
    if any(p.has(step) for pieces in result.words.values() for p in pieces):
        raise ValueError(f"a mode of {operator.key} does not converge as the steps grow, as far as is known")
    return Rewriting(result, (SMALL_STEPS,), (step,))


def _exact_change(change: Theorem, state: Operator) -> Operator:
    """Return the right side of an exact theorem on the change of a state in one step.

    Raises:
        TypeError: if the theorem is not on operators.
        ValueError: if it is only a limit, or about the change of something else.
    """
    if not (isinstance(change.lhs, Operator) and isinstance(change.rhs, Operator)):
        raise TypeError("expected a theorem on operators")
    if change.relation != "=" or change.limits:
        raise ValueError("expected an exact change in every step, not a limit")
    if letter_of(change.lhs).step_of != letter_of(state).name:
        raise ValueError(f"{letter_of(change.lhs).name} is not the change of {letter_of(state).name} in one step")
    return change.rhs


def _increment(operator: Operator) -> Operator:
    return operator.map(lambda g: g.subs(step, step + 1) - g)


def _at(operator: Operator, steps: int) -> Operator:
    return operator.map(lambda g: g.subs(step, steps))
