"""Duals as theorems, with the facts they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from derive.activations import Activation, activation
from derive.duals.function_class import derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.normal_form import tidied
from derive.model import Model
from derive.theorem import Rewriting, Theorem, reflexivity, rule

GAUSSIAN_PAIR = Model(
    name="a centred Gaussian pair (u, v) with variances a, b, covariance c and D = ab - c^2", gaussian=frozenset()
)


@dataclass(frozen=True, slots=True)
class GaussianMean:
    """The term E[phi(u) phi(v)], or with phi' for phi when ``order`` is 1."""

    activation: Activation
    order: int = 0

    def __post_init__(self) -> None:
        if self.order not in (0, 1):
            raise ValueError(f"order must be 0 (the activation) or 1 (its derivative), got {self.order}")

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{gaussian mean}}{self.order}|{self.activation.expression}"


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """An expression in a, b, c and D."""

    expression: sp.Expr

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{closed form}}{self.expression}"


@rule("tilt, Stein, slice and Price evaluate the Gaussian mean")
def gaussian_calculus(term: GaussianMean, model: Model) -> Rewriting:
    """Return the closed form of a Gaussian mean; the note of the step lists the facts used."""
    function = parse(term.activation.expression)
    if term.order:
        function = derivative(function)
    calculus = Calculus()
    value = tidied(calculus.dual(function, function))
    facts = ", ".join(sorted(calculus.facts)) or "linearity"
    return Rewriting(ClosedForm(value), note=f"used: {facts}")


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """Both duals of an activation.

    Attributes:
        activation: the activation.
        theorem, derivative_theorem: the theorems on E[phi phi] and E[phi' phi'].
    """

    activation: Activation
    theorem: Theorem
    derivative_theorem: Theorem

    @property
    def value(self) -> sp.Expr:
        """Return E[phi(u) phi(v)] as a SymPy expression in a, b, c, D."""
        assert isinstance(self.theorem.rhs, ClosedForm)  # the calculus ends in a closed form
        return self.theorem.rhs.expression

    @property
    def derivative(self) -> sp.Expr:
        """Return E[phi'(u) phi'(v)] as a SymPy expression in a, b, c, D."""
        assert isinstance(self.derivative_theorem.rhs, ClosedForm)  # the calculus ends in a closed form
        return self.derivative_theorem.rhs.expression

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the conditions under which the closed forms hold."""
        return ("a >= 0", "b >= 0", "D = ab - c^2 >= 0")


@cache
def _dual(which: Activation) -> Dual:
    value = reflexivity(GaussianMean(which), GAUSSIAN_PAIR).by(gaussian_calculus)
    return Dual(which, value, reflexivity(GaussianMean(which, 1), GAUSSIAN_PAIR).by(gaussian_calculus))


def dual(which: str | sp.Expr | Activation) -> Dual:
    """Return both duals of an activation, derived.

    Raises:
        NotInClass: if the activation has no closed form in the class.
    """
    return _dual(activation(which))
