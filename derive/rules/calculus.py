"""The rule of differentiation by the parameters of a network."""

from __future__ import annotations

from derive.model import Model
from derive.rules.traversal import first_factor, rebuilt, until_stable
from derive.terms import Atom, Expression, Partial, constant, delta, monomial, opened
from derive.theorem import rule


@rule("product rule, chain rule, and a parameter's derivative by a parameter of its family is a delta")
def differentiate(expression: Expression, model: Model) -> Expression:
    """Return the expression with all derivatives carried out.

    A function ``f(z_j)`` of the layer below has derivative ``f'(z_j) dz_j`` by a parameter of the layers below; the
    parameters of a layer do not occur in the layers below it.
    """
    names = {order: head for head, order in model.fields.items()}

    def of_atom(a: Atom, by: Atom) -> Expression:
        if a.head == by.head and a.layer == by.layer:
            result = constant(1)
            for i, j in zip(a.indices, by.indices, strict=True):
                result = result * delta(i, j)
            return result
        if a.head in model.fields and by.head not in model.gaussian:
            if model.gradient is None or model.fields[a.head] + 1 not in names:
                raise ValueError(f"the model {model.name!r} has no derivative of {a.head}")
            slope = Atom(names[model.fields[a.head] + 1], a.indices, a.inputs, a.layer)
            return monomial(slope, Atom(model.gradient, a.indices + by.indices, a.inputs, a.layer))
        return Expression()

    def carry_out(factor: Partial) -> Expression:
        result = Expression()
        for bound, factors, coefficient in factor.body:
            bound, factors = opened(bound, factors)
            for position, f in enumerate(factors):
                if not isinstance(f, Atom):
                    continue
                rest = factors[:position] + factors[position + 1 :]
                derivative = of_atom(f, factor.parameter)
                result = result + rebuilt(bound, coefficient * (monomial(*rest) * derivative))
        return result

    return until_stable(expression, lambda e: first_factor(e, Partial, carry_out))
