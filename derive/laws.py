"""Laws of processes as terms: of all units at all inputs, the centred Gaussian process, numbers and orders of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from derive.terms import Atom, Expression, atom


@dataclass(frozen=True)
class Law:
    """The joint law of a family ``z_k(x)`` over all its indices and inputs, conditional on the families ``given``."""

    variable: Atom
    given: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{law}}|{','.join(self.given)}|{self.variable.key}"

    def at_layer(self, symbol: sp.Symbol, value: sp.Expr | int) -> Law:
        """Return the same law of another layer."""
        moved = atom(self.variable.head, *self.variable.indices, at=self.variable.inputs, layer=self.variable.layer)
        ((_, (variable,), _),) = list(moved.at_layer(symbol, value))
        assert isinstance(variable, Atom)  # an atom stays one
        return Law(variable, self.given)


@dataclass(frozen=True)
class GaussianProcess:
    """The centred Gaussian process with covariance ``Cov(z_k(x), z_k'(x'))`` given as an expression."""

    covariance: Expression

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{gaussian}}|{self.covariance.key}"

    def at_layer(self, symbol: sp.Symbol, value: sp.Expr | int) -> GaussianProcess:
        """Return the process of another layer."""
        return GaussianProcess(self.covariance.at_layer(symbol, value))


@dataclass(frozen=True)
class Quantity:
    """A number for each pair of inputs that describes the law of finite networks, computed as its source says.

    Attributes:
        name: what the stage that computes it calls it.
        symbol: its LaTeX.
        factor: what it is multiplied by, in the width N.
        last_layer_only: whether the layers below the last hidden one are taken as infinitely wide.
        at_width: the width that it is taken at, in the width N of the network, if it is not that; oo for the limit.
    """

    name: str
    symbol: str
    factor: sp.Expr = sp.S.One
    last_layer_only: bool = False
    at_width: sp.Expr | None = None

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{quantity}}|{self.name}|{sp.srepr(self.factor)}|{self.last_layer_only}|{self.at_width}"

    def at_layer(self, symbol: sp.Symbol, value: sp.Expr | int) -> Quantity:
        """Return the quantity itself: it is one of the output layer."""
        return self


@dataclass(frozen=True)
class Order:
    """How something that networks show depends on the width N of all hidden layers.

    Attributes:
        of: what the stage that measures it calls it.
        power: of N.
        tight: whether it is exactly of this order, ``C N^power`` with a random C whose law does not depend on N to
            leading order; else at most of this order.
    """

    of: str
    power: sp.Rational
    tight: bool

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{order}}|{self.of}|{self.power}|{self.tight}"

    def at_layer(self, symbol: sp.Symbol, value: sp.Expr | int) -> Order:
        """Return the order itself: it is one of whole networks."""
        return self
