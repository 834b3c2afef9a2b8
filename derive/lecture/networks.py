"""The networks of the lecture as models: one layer on data, and one layer on the units of the layer below.

Sources: eqs 11, 12, 21, 37, 38, 47, 48 of the lecture; Jacot, Gabriel and Hongler 2018 (arXiv:1806.07572) for the
kernel.
"""

import sympy as sp

from derive.laws import GaussianProcess, Law
from derive.model import Definition, Hypothesis, Model
from derive.notation import input_dimension, layer, parameter_count, sigma_b, sigma_w, width
from derive.terms import Atom, Expression, Index, atom, delta, mean, partial, total

X, Y = "x", "x'"
"""Names of the two inputs."""


def _affine(of_layer: sp.Expr | int, k: Index, column: Index, incoming: Expression) -> Expression:
    """Return ``sigma_w/sqrt(n) sum_j W_kj a_j + sigma_b b_k`` with ``a_j`` given as an expression in ``column``."""
    scale = sigma_w / sp.sqrt(column.dimension)
    weighted = total(column, atom("W", k, column, layer=of_layer) * incoming)
    result: Expression = scale * weighted + sigma_b * atom("b", k, layer=of_layer)
    return result


def _own_parameters(
    of_layer: sp.Expr | int, first: Expression, second: Expression, row: Index, column: Index
) -> Expression:
    """Return the sum of products of derivatives by the weights and biases of the layer itself."""
    weight = Atom("W", (row, column), (), sp.sympify(of_layer))
    bias = Atom("b", (row,), (), sp.sympify(of_layer))
    weights = total(row, total(column, partial(first, weight) * partial(second, weight)))
    return weights + total(row, partial(first, bias) * partial(second, bias))


def _first_layer() -> Model:
    k, m, i = (Index(name, width(2)) for name in ("k", "k'", "i"))
    p = Index("p", input_dimension)
    one = sp.Integer(1)
    affine = Definition("z", (k,), (X,), one, _affine(1, k, p, atom("input", p, at=(X,))))
    dot = Definition("dot", (), (X, Y), None, total(p, atom("input", p, at=(X,)) * atom("input", p, at=(Y,))))
    ntk = Definition(
        "Theta",
        (k, m),
        (X, Y),
        one,
        _own_parameters(1, atom("z", k, at=(X,), layer=1), atom("z", m, at=(Y,), layer=1), i, p),
    )
    return Model(
        name="the first layer, on data",
        layer=one,
        gaussian=frozenset({"W", "b"}),
        data=frozenset({"input"}),
        definitions=(affine, dot, ntk),
    )


def _deeper_layer() -> Model:
    k, m, i = (Index(name, width(layer + 1)) for name in ("k", "k'", "i"))
    j, n, first = (Index(name, width(layer)) for name in ("j", "j'", "1"))
    p = Index("p", parameter_count(layer - 1))
    below = layer - 1

    def phi(unit: Index, x: str, head: str = "phi") -> Expression:
        return atom(head, unit, at=(x,), layer=below)

    def z(unit: Index, x: str) -> Expression:
        return atom("z", unit, at=(x,), layer=layer)

    theta = Atom("theta", (p,), (), below)
    inherited = total(p, partial(z(k, X), theta) * partial(z(m, Y), theta))
    definitions = (
        Definition("z", (k,), (X,), layer, _affine(layer, k, j, phi(j, X))),
        Definition("Theta_own", (k, m), (X, Y), layer, _own_parameters(layer, z(k, X), z(m, Y), i, j)),
        Definition("Theta_inherited", (k, m), (X, Y), layer, inherited),
        Definition(
            "Theta",
            (k, m),
            (X, Y),
            layer,
            atom("Theta_own", k, m, at=(X, Y), layer=layer) + atom("Theta_inherited", k, m, at=(X, Y), layer=layer),
        ),
        Definition(
            "Theta",
            (j, n),
            (X, Y),
            below,
            total(p, atom("dz", j, p, at=(X,), layer=below) * atom("dz", n, p, at=(Y,), layer=below)),
        ),
        Definition("K", (), (X, Y), layer, sigma_b**2 * _one() + sigma_w**2 * mean(phi(first, X) * phi(first, Y))),
        Definition("Kdot", (), (X, Y), layer, sigma_w**2 * mean(phi(first, X, "dphi") * phi(first, Y, "dphi"))),
    )
    units = Hypothesis(
        "iid units",
        Law(Atom("z", (j,), (X,), below)),
        "=",
        GaussianProcess(atom("K", at=(X, Y), layer=below) * delta(j, n)),
        "the units of layer l-1 are iid centred Gaussian processes with covariance K^{l-1} "
        "(exact at l = 2, otherwise in the limit of the widths below)",
    )
    return Model(
        name="a layer on the units of the layer below",
        layer=layer,
        gaussian=frozenset({"W", "b"}),
        fields={"phi": 0, "dphi": 1},
        gradient="dz",
        parameters="theta",
        definitions=definitions,
        iid_units=units,
    )


def _one() -> Expression:
    return Expression([((), (), sp.S.One)])


def tangent_hypothesis(model: Model) -> Hypothesis:
    """Return the induction hypothesis: the tangent kernel of layer l-1 is diagonal and deterministic in the limit."""
    definition = model.definition("Theta", layer - 1)
    assert definition is not None  # the model of a deeper layer defines it
    j, n = definition.indices
    return Hypothesis(
        "tangent kernel below",
        atom("Theta", j, n, at=(X, Y), layer=layer - 1),
        "→",
        atom("Theta_inf", at=(X, Y), layer=layer - 1) * delta(j, n),
        "the tangent kernel of layer l-1 tends to a deterministic multiple of the identity as N_2, ..., N_{l-1} tend "
        "to infinity, before N_l does",
    )


FIRST_LAYER = _first_layer()
DEEPER_LAYER = _deeper_layer()
