"""Duals as theorems, with the facts they rest on and the conditions under which they hold."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache, cached_property

import sympy as sp

from derive.activations import Activation, activation
from derive.duals.expressions import rational_expression, to_expression
from derive.duals.function_class import Function, NotInClass, derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.series import HermiteSeries
from derive.model import Model
from derive.theorem import Rewriting, Theorem, reflexivity, rule

GAUSSIAN_PAIR = Model(
    name="a centred Gaussian pair (u, v) with variances a, b, covariance c and D = ab - c^2", gaussian=frozenset()
)


@dataclass(frozen=True, slots=True)
class GaussianMean:
    """The term E[phi(u) phi(v)], or with phi' for phi when ``order`` is 1.

    Attributes:
        activation: phi.
        order: 0 or 1.
        weak: whether phi' is the weak derivative, with a Dirac delta where phi jumps; else the pathwise one.
    """

    activation: Activation
    order: int = 0
    weak: bool = False

    def __post_init__(self) -> None:
        if self.order not in (0, 1):
            raise ValueError(f"order must be 0 (the activation) or 1 (its derivative), got {self.order}")

    @property
    def function(self) -> Function:
        """Return phi, or phi', as a function of the class.

        Raises:
            NotInClass: if it is outside the class.
        """
        function = parse(self.activation.expression)
        return derivative(function, weak=self.weak) if self.order else function

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{gaussian mean}}{self.order}{'weak' if self.weak else ''}|{self.activation.expression}"


@dataclass(frozen=True)
class ClosedForm:
    """An expression in a, b, c and D, and what has to be positive for it to hold."""

    expression: sp.Expr
    positive: tuple[sp.Expr, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{closed form}}{self.expression}"


@rule("tilt, Stein, slice and Price evaluate the Gaussian mean")
def gaussian_calculus(term: GaussianMean, model: Model) -> Rewriting:
    """Return the closed form of a Gaussian mean; the note of the step lists the facts used.

    Raises:
        NotInClass: if the activation is outside the class.
    """
    function = term.function
    calculus = Calculus(function.field)
    value = to_expression(calculus.dual(function, function))
    positive = tuple(rational_expression(mass) for mass in calculus.masses)
    facts = ", ".join(sorted(calculus.facts)) or "linearity"
    assumptions = tuple(f"{mass} > 0, so that the moment exists" for mass in positive)
    return Rewriting(ClosedForm(value, positive), assumptions, note=f"used: {facts}{_convention(term)}")


def _convention(term: GaussianMean) -> str:
    """Return what the other convention for the derivative would give, where it makes a difference."""
    if not term.order or not term.activation.jumps:
        return ""
    other = "pathwise, what backpropagation uses, phi' has none" if term.weak else "weak"
    function = dataclasses.replace(term, weak=not term.weak).function
    value = to_expression(Calculus(function.field).dual(function, function))
    if term.weak:
        return f"; phi' is weak, with a Dirac delta where phi jumps; {other} and the mean is {value}"
    return f"; phi' is pathwise, what backpropagation uses; {other}, with a Dirac delta where phi jumps, it is {value}"


@rule("Mehler's formula expands the pair in Hermite polynomials")
def mehler(term: GaussianMean, model: Model) -> Rewriting:
    """Return the Hermite series of a Gaussian mean, for any activation with a second moment."""
    assumption = f"E[phi{term.order * chr(39)}(u)^2] is finite at both variances"
    return Rewriting(HermiteSeries(term.activation, term.order), (assumption,), note="used: Price at c = 0, Parseval")


@cache
def _evaluated(term: GaussianMean) -> Theorem:
    return reflexivity(term, GAUSSIAN_PAIR).by(gaussian_calculus)


@cache
def mean_theorem(which: Activation, order: int) -> Theorem:
    """Return the theorem on E[phi phi], or E[phi' phi'] pathwise: a closed form if there is one, else a series."""
    term = GaussianMean(which, order)
    try:
        return _evaluated(term)
    except NotInClass:
        return reflexivity(term, GAUSSIAN_PAIR).by(mehler)


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
    def closed_forms(self) -> tuple[ClosedForm, ClosedForm]:
        """Return the right sides of both theorems."""
        value, slope = self.theorem.rhs, self.derivative_theorem.rhs
        assert isinstance(value, ClosedForm) and isinstance(slope, ClosedForm)  # where the calculus ends
        return value, slope

    @property
    def value(self) -> sp.Expr:
        """Return E[phi(u) phi(v)] as a SymPy expression in a, b, c, D."""
        return self.closed_forms[0].expression

    @property
    def derivative(self) -> sp.Expr:
        """Return E[phi'(u) phi'(v)] as a SymPy expression in a, b, c, D."""
        return self.closed_forms[1].expression

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the conditions under which the closed forms hold."""
        positive = dict.fromkeys(mass for form in self.closed_forms for mass in form.positive)
        return ("a >= 0", "b >= 0", "D = ab - c^2 >= 0", *(f"{mass} > 0" for mass in positive))


@cache
def _dual(which: Activation, weak: bool) -> Dual:
    value, slope = (_evaluated(GaussianMean(which, order, weak and bool(order))) for order in (0, 1))
    return Dual(which, value, slope)


def dual(which: str | sp.Expr | Activation, weak: bool = False) -> Dual:
    """Return both duals of an activation, derived.

    Args:
        which: name, text, SymPy expression or activation; parameters besides z are allowed.
        weak: whether phi' is the weak derivative, with a Dirac delta where phi jumps. By default it is the pathwise
            derivative that backpropagation uses: 0 for a step.

    Raises:
        NotInClass: if the activation has no closed form in the class.
    """
    return _dual(activation(which, parameters=True), weak)
