"""The rule of differentiation by the parameters of a network."""

from __future__ import annotations

from derive.model import Model
from derive.rules.traversal import first_factor, rebuilt, until_stable
from derive.terms import Atom, Expression, Mean, Partial, constant, delta, monomial, opened
from derive.theorem import rule


@rule("product rule, chain rule, and a parameter's derivative by a parameter of its family is a delta")
def differentiate(expression: Expression, model: Model) -> Expression:
    """Return the expression with all derivatives carried out, inner ones first.

    A function ``f(z_j)`` of the layer below has derivative ``f'(z_j) dz_j`` by a parameter of the layers below; the
    parameters of a layer do not occur in the layers below it.

    Raises:
        ValueError: for a derivative that the model has no name for: of a name that was not unfolded, of a conditional
            mean, of a gradient, or by a parameter of a layer the model does not know.
    """

    def carry_out(factor: Partial) -> Expression:
        model.require_known(factor.parameter)
        result = Expression()
        for bound, factors, coefficient in _differentiated(factor.body):
            bound, factors = opened(bound, factors)
            for position, f in enumerate(factors):
                rest = factors[:position] + factors[position + 1 :]
                if isinstance(f, Mean) and f.given:
                    raise ValueError(f"the derivative of the conditional mean {f.key} is not known; average it first")
                if isinstance(f, Atom):
                    slope = _of_atom(f, factor.parameter, model)
                    result = result + rebuilt(bound, coefficient * (monomial(*rest) * slope))
        return result

    def _differentiated(body: Expression) -> Expression:
        return until_stable(body, lambda e: first_factor(e, Partial, carry_out))

    return _differentiated(expression)


def _of_atom(a: Atom, by: Atom, model: Model) -> Expression:
    """Return the derivative of an atom by a parameter."""
    if model.definition(a.head, a.layer) is not None:
        raise ValueError(f"unfold {a.key} before differentiating it")
    model.require_known(a)
    if a.head == by.head:
        result = constant(1)
        for i, j in zip(a.indices, by.indices, strict=True):
            result = result * delta(i, j)
        return result
    if by.head != model.parameters:
        return Expression()  # another family of the same layer, or something of the layer below
    if a.head == model.gradient:
        raise ValueError(f"the model {model.name!r} has no name for the derivative of the gradient {a.key}")
    if a.head not in model.fields:
        return Expression()
    slopes = {order: head for head, order in model.fields.items()}
    if model.gradient is None or model.fields[a.head] + 1 not in slopes:
        raise ValueError(f"the model {model.name!r} has no name for the derivative of {a.head}")
    slope = Atom(slopes[model.fields[a.head] + 1], a.indices, a.inputs, a.layer)
    return monomial(slope, Atom(model.gradient, a.indices + by.indices, a.inputs, a.layer))
