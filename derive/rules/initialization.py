"""Rules for means and covariances over initialization of operators that are linear in a centred Gaussian process.

What the model calls centred is jointly Gaussian with the covariances it names, independent and alike from output to
output. Conditioning needs no inverse: any A with ``A Cov(D, D) = Cov(f, D)`` makes ``f - A D`` independent of D.
"""

from __future__ import annotations

from collections.abc import Iterator

from derive.model import Model
from derive.moments import Data, Moment
from derive.moments import covariance as covariance_of
from derive.moments import mean as mean_of
from derive.notation import same_output
from derive.operators import Letter, Operator, transposed
from derive.theorem import Conclusion, Rewriting, Theorem, inference, rule

INDEPENDENT_OUTPUTS = "the outputs are independent, with the same covariance"
JOINTLY_GAUSSIAN = "what is random is jointly Gaussian"
POSSIBLE = "the observed value is one that the data can take"


@rule("what is centred has mean zero, and what is fixed passes through")
def mean(term: Moment, model: Model) -> Operator:
    """Return the mean over initialization of an operator that is linear in what is random."""
    (operator,) = _unconditional(term, 1)
    fixed = [(letters, pieces) for letters, pieces in operator.words.items() if _random(letters, model) is None]
    return Operator(operator.rows, operator.columns, fixed)


@rule("a covariance is bilinear, sees only what is random, and vanishes between different outputs")
def covariance(term: Moment, model: Model) -> Rewriting:
    """Return the covariance over initialization of two operators that are linear in what is random.

    Raises:
        ValueError: if the model does not say what the covariance of two letters is.
    """
    first, second = _unconditional(term, 2)
    total = Operator(first.rows, second.rows, [])
    for left, a in _linear_parts(first, model):
        for right, b in _linear_parts(second, model):
            total = total + left @ _between(a, b, model) @ transposed(right)
    return Rewriting(same_output * total, (INDEPENDENT_OUTPUTS,))


@inference("what is jointly Gaussian and uncorrelated with the data is independent of them")
def conditional_mean(uncorrelated: Theorem, quantity: Operator, weights: Operator, value: Operator) -> Conclusion:
    """Return ``E[f | D = y] = A y`` from ``Cov(f - A D, D) = 0``.

    Args:
        uncorrelated: the theorem that says so.
        quantity: f.
        weights: A.
        value: y.

    Raises:
        ValueError: if the theorem says something else.
    """
    data = _require_uncorrelated(uncorrelated, quantity, weights)
    return Conclusion(mean_of(quantity, Data(data, value)), "=", weights @ value, (JOINTLY_GAUSSIAN, POSSIBLE))


@inference("given the data, what is predicted from them is fixed, and the residuals are independent of them")
def conditional_covariance(
    first: Theorem,
    second: Theorem,
    residuals: Theorem,
    quantities: tuple[Operator, Operator],
    weights: tuple[Operator, Operator],
    value: Operator,
) -> Conclusion:
    """Return ``Cov(f, f' | D = y) = Cov(f - A D, f' - A' D)``.

    Args:
        first: the theorem ``Cov(f - A D, D) = 0``.
        second: the theorem ``Cov(f' - A' D, D) = 0``.
        residuals: the theorem on the covariance of the two residuals.
        quantities: f and f'.
        weights: A and A'.
        value: y.

    Raises:
        ValueError: if a theorem says something else.
    """
    data = [_require_uncorrelated(t, q, a) for t, q, a in zip((first, second), quantities, weights, strict=True)]
    if data[0] != data[1]:
        raise ValueError("expected the same data twice")
    left = [q - a @ data[0] for q, a in zip(quantities, weights, strict=True)]
    if (
        residuals.lhs != covariance_of(left[0], left[1])
        or residuals.relation != "="
        or not isinstance(residuals.rhs, Operator)
    ):
        raise ValueError(f"expected the covariance of the residuals, got a theorem on {residuals.lhs.key}")
    given = Data(data[0], value)
    return Conclusion(covariance_of(*quantities, given), "=", residuals.rhs, (JOINTLY_GAUSSIAN, POSSIBLE))


@inference("two quantities that are equal to the same are equal")
def agreement(first: Theorem, second: Theorem) -> Conclusion:
    """Return the theorem that the left sides of two theorems with the same right side are equal.

    Raises:
        ValueError: if the right sides differ.
    """
    if first.rhs.key != second.rhs.key:
        raise ValueError(f"the right sides differ: {first.rhs.key} and {second.rhs.key}")
    limit = "→" in (first.relation, second.relation)
    return Conclusion(first.lhs, "→" if limit else "=", second.lhs)


def _require_uncorrelated(theorem: Theorem, quantity: Operator, weights: Operator) -> Operator:
    """Return the data that, by a theorem, the residual of a quantity predicted with these weights is uncorrelated with.

    Raises:
        ValueError: if it says something else.
    """
    zero = isinstance(theorem.rhs, Operator) and not theorem.rhs.words
    if isinstance(theorem.lhs, Moment) and len(theorem.lhs.of) == 2 and theorem.relation == "=" and zero:
        residual, data = theorem.lhs.of
        if theorem.lhs.given is None and residual == quantity - weights @ data:
            return data
    raise ValueError(f"expected that the residual is uncorrelated with the data, got a theorem on {theorem.lhs.key}")


def _unconditional(term: Moment, order: int) -> tuple[Operator, ...]:
    if not isinstance(term, Moment) or len(term.of) != order or term.given is not None:
        raise TypeError(f"expected an unconditional {'mean' if order == 1 else 'covariance'}")
    return term.of


def _random(letters: tuple[Letter, ...], model: Model) -> Letter | None:
    """Return the random letter that a word ends in, or None if the word is fixed.

    Raises:
        ValueError: for a random letter elsewhere, since then the word may not be linear in what is random.
    """
    centred = [model.is_centred(letter) for letter in letters]
    if any(centred[:-1]):
        raise ValueError(f"expected at most one random letter, at the end, in {' '.join(x.name for x in letters)}")
    return letters[-1] if centred and centred[-1] else None


def _linear_parts(operator: Operator, model: Model) -> Iterator[tuple[Operator, Letter]]:
    """Yield factor and random letter of every word that has one."""
    for letters, pieces in operator.words.items():
        if (letter := _random(letters, model)) is not None:
            yield Operator(operator.rows, letter.rows, [(letters[:-1], pieces)]), letter


def _between(first: Letter, second: Letter, model: Model) -> Operator:
    """Return the covariance of two random letters."""
    for a, b, between in model.covariances:
        if (a, b) == (first, second):
            return between
        if (b, a) == (first, second):
            return transposed(between)
    raise ValueError(f"the model {model.name!r} does not say what the covariance of {first.name} and {second.name} is")
