"""Means and covariances over initialization as terms: of matrices with a column for each output.

The covariance of two such matrices has a row for each row of the first and a column for each row of the second. It is
that of output k of the first with output k' of the second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from derive.operators import OUTPUTS, IllTyped, Operator
from derive.terms import Term


@dataclass(frozen=True)
class Data:
    """What a mean or covariance is conditional on: that a random matrix has a value."""

    observed: Operator
    value: Operator


@dataclass(frozen=True)
class Moment:
    """The mean of one operator, or the covariance of two, over initialization.

    Attributes:
        of: one or two operators with columns in the outputs.
        given: what is observed, if anything.
    """

    of: tuple[Operator, ...]
    given: Data | None = None

    def __post_init__(self) -> None:
        if wrong := [operator.columns.name for operator in self.of if operator.columns != OUTPUTS]:
            raise IllTyped(f"expected a column for each output, got columns in {', '.join(wrong)}")

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        given = f"|{self.given.observed.key} = {self.given.value.key}" if self.given else ""
        return f"{{moment}}|{' , '.join(operator.key for operator in self.of)}{given}"

    def map(self, function: Callable[[Operator], Operator]) -> Moment:
        """Return the moment with every operator it is of changed."""
        return Moment(tuple(map(function, self.of)), self.given)


def mean(of: Operator, given: Data | None = None) -> Moment:
    """Return the mean of an operator."""
    return Moment((of,), given)


def covariance(first: Operator, second: Operator, given: Data | None = None) -> Moment:
    """Return the covariance of two operators, output k of the first with output k' of the second."""
    return Moment((first, second), given)


def each_operator(term: Term, change: Callable[[Operator], Operator]) -> Term:
    """Return an operator changed, or a moment with the operators it is of changed.

    Raises:
        TypeError: if the term is neither.
    """
    if isinstance(term, Operator):
        return change(term)
    if isinstance(term, Moment):
        return term.map(change)
    raise TypeError(f"expected an operator or a moment of operators, got a {type(term).__name__}")
