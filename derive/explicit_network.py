"""An explicit two-layer network: what an induction over layers is held against.

At layer 2 the recursions hold exactly at every finite width, since the first layer is exactly Gaussian. So the mean of
the tangent kernel, or of a product of outputs, of a network of two hidden units, written out in all its parameters and
averaged by exact moments, must equal what a theorem's recursion says about layer 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import sympy as sp

from derive.instances import Instance, dimensions
from derive.rules.traversal import named
from derive.terms import Atom, Expression, Index, atoms
from derive.theorem import Theorem, Where


class TwoLayerNetwork:
    """An explicit network of two layers with a quadratic activation, all parameters plain symbols.

    Attributes:
        dimension, hidden: its sizes; it has one output.
        normals: all parameters.
    """

    dimension, hidden = 2, 2

    def __init__(self, theorem: Theorem) -> None:
        self.theorem = theorem
        deeper = theorem.premises[1].model
        self.instance = Instance(deeper, {})
        self.sigma_w, self.sigma_b = sp.symbols("sigma_w sigma_b", positive=True)
        self.normals = [
            sp.Symbol(f"normal.{name}", real=True)
            for name in [
                *(f"W1.{j}.{p}" for j, p in product(range(self.hidden), range(self.dimension))),
                *(f"b1.{j}" for j in range(self.hidden)),
                *(f"W2.{j}" for j in range(self.hidden)),
                "b2",
            ]
        ]

    def outputs_at(self, x: str) -> sp.Expr:
        """Return the output at an input as a polynomial in the parameters."""
        second, last = self.normals[-self.hidden - 1 : -1], self.normals[-1]
        t = sp.Dummy()
        phi = self.activation(t)
        hidden = sum(w * phi.subs(t, self._unit(j, x)) for j, w in enumerate(second))
        return sp.expand(self.sigma_w / sp.sqrt(self.hidden) * hidden + self.sigma_b * last)

    def first_unit_at(self, x: str) -> sp.Expr:
        """Return a unit of the first layer at an input as a polynomial in the parameters."""
        return sp.expand(self._unit(0, x))

    def _unit(self, j: int, x: str) -> sp.Expr:
        row = self.normals[j * self.dimension : (j + 1) * self.dimension]
        bias = self.normals[self.hidden * self.dimension + j]
        weighted = sum(w * self.component(x, p) for p, w in enumerate(row))
        return self.sigma_w / sp.sqrt(self.dimension) * weighted + self.sigma_b * bias

    def component(self, x: str, p: int) -> sp.Expr:
        """Return one component of an input, the same rational that an instance uses."""
        data = Instance(self.theorem.premises[0].model, {})
        index = Index("p", sp.Symbol("d"))
        return data.value(Expression([((), (Atom("input", (index,), (x,)),), sp.S.One)]), {index: p})

    def activation(self, t: sp.Symbol) -> sp.Expr:
        """Return the quadratic activation that an instance uses."""
        unit = Index("1", sp.Symbol("n"))
        field = self.instance.value(Expression([((), (Atom("phi", (unit,), ("x",)),), sp.S.One)]), {})
        return field.subs(next(iter(field.atoms(sp.Function))), t)

    def first_layer_kernel(self, x: str, y: str) -> sp.Expr:
        """Return the exact covariance of a unit of the first layer."""
        dot = sum(self.component(x, p) * self.component(y, p) for p in range(self.dimension))
        return sp.expand(self.sigma_w**2 * dot / self.dimension + self.sigma_b**2)

    def exact(self, where: Where) -> sp.Expr:
        """Return what a symbol of a recursion is for this network, from its parameters and exact moments alone.

        Raises:
            TypeError: for a symbol that is neither the covariance nor the tangent kernel of a unit.
        """
        name = _subject(where)
        first_layer = name.layer == 1
        units = self.first_unit_at if first_layer else self.outputs_at
        left, right = units("x"), units("x'")
        match name.head:
            case "K":
                return self.instance.expectation(left, right)
            case "Theta_inf":
                kernel = sp.Add(*(sp.diff(left, s) * sp.diff(right, s) for s in self.normals))
                return self.instance.expectation(kernel)
        raise TypeError(f"no explicit network knows what {name.head} is")

    def claimed(self, where: Where) -> sp.Expr:
        """Return what a theorem says a symbol is: at layer 1 on the data, at layer 2 with the exact law of layer 1.

        Raises:
            ValueError: if it speaks of activations of another layer than the one below.
        """
        name, value = _subject(where), where.value
        assert isinstance(value, Expression) and name.layer is not None  # where-clauses of this language
        model = self.theorem.premises[0].model if name.layer == 1 else self.instance.model
        for a in atoms(value):
            model.require_known(a)
        sizes = dict.fromkeys(dimensions(value, model), self.hidden)
        if name.layer == 1:
            return Instance(model, sizes).value(value, {})
        base = {
            (head, name.layer - 1): ((), Expression([((), (), self.first_layer_kernel("x", "x'"))]))
            for head in ("K", "Theta_inf")
        }
        return Instance(model, sizes, 0, base, self._gaussian_moment).value(value, {})

    def _gaussian_moment(self, powers: Mapping[str, int]) -> sp.Expr:
        letters = tuple(x for x, power in powers.items() for _ in range(power))

        def pairings(rest: tuple[str, ...]) -> sp.Expr:
            if not rest:
                return sp.S.One
            if len(rest) % 2:
                return sp.S.Zero
            return sp.Add(
                *(
                    self.first_layer_kernel(rest[0], rest[n]) * pairings(rest[1:n] + rest[n + 1 :])
                    for n in range(1, len(rest))
                )
            )

        return sp.expand(pairings(letters))


def _subject(where: Where) -> Atom:
    """Return the symbol a recursion defines."""
    return named(where.symbol)
