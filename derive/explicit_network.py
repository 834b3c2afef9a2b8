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
from derive.terms import Atom, Expression, Index
from derive.theorem import Theorem


class TwoLayerNetwork:
    """An explicit network of two layers with a quadratic activation, all parameters plain symbols.

    Attributes:
        dimension, hidden, outputs: its sizes.
        normals: all parameters.
    """

    dimension, hidden, outputs = 2, 2, 1

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
        """Return the one output at an input as a polynomial in the parameters."""
        parameters = iter(self.normals)
        first = [[next(parameters) for _ in range(self.dimension)] for _ in range(self.hidden)]
        biases = [next(parameters) for _ in range(self.hidden)]
        second = [next(parameters) for _ in range(self.hidden)]
        last = next(parameters)
        data = [self.component(x, p) for p in range(self.dimension)]
        scale = self.sigma_w / sp.sqrt(self.dimension)
        z = [
            scale * sum(w * v for w, v in zip(row, data, strict=True)) + self.sigma_b * bias
            for row, bias in zip(first, biases, strict=True)
        ]
        t = sp.Dummy()
        phi = self.activation(t)
        hidden = sum(w * phi.subs(t, unit) for w, unit in zip(second, z, strict=True))
        return sp.expand(self.sigma_w / sp.sqrt(self.hidden) * hidden + self.sigma_b * last)

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

    def predicted(self) -> sp.Expr:
        """Return what the theorem's recursion says about layer 2, with the exact Gaussian law of layer 1."""
        symbol, value = self.theorem.where[-1].symbol, self.theorem.where[-1].value
        assert isinstance(symbol, Expression) and isinstance(value, Expression)  # where-clauses of this language
        ((_, (name,), _),) = list(symbol)
        assert isinstance(name, Atom) and name.layer is not None  # the symbol of a recursion is a name
        base = {
            (head, name.layer - 1): ((), Expression([((), (), self.first_layer_kernel("x", "x'"))]))
            for head in ("K", "Theta_inf")
        }
        instance = Instance(self.instance.model, dict.fromkeys(dimensions(value, self.instance.model), 1), 0, base)
        return Instance(instance.model, instance.sizes, 0, base, self._gaussian_moment).value(value, {})

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
