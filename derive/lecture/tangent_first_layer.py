"""Section 4.5: gradients of the first layer, and its tangent kernel from them (eqs 43-46)."""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import tangent_first_layer_exhibits as shown
from derive.lecture.networks import FIRST_LAYER, X, Y
from derive.lecture.nngp import first_kernel_statement, shared_bias
from derive.notation import input_dimension, sigma_b, sigma_w, width
from derive.rules import collapse, differentiate, unfold
from derive.terms import Atom, Expression, Index, atom, delta, partial, total
from derive.theorem import Theorem, reflexivity

_K, _M, _I = (Index(name, width(2)) for name in ("k", "k'", "i"))
_P, _Q = (Index(name, input_dimension) for name in ("p", "q"))
_ROOT = sigma_w / sp.sqrt(input_dimension)


def _component(p: Index, x: str = X) -> Expression:
    return atom("input", p, at=(x,))


def _unit() -> Expression:
    return atom("z", _K, at=(X,), layer=1)


@cache
def unit() -> Theorem:
    """Return eq 43: a unit of the first layer as an affine function of the input."""
    return reflexivity(_unit(), FIRST_LAYER).by(unfold, "z")


@cache
def gradient() -> Theorem:
    """Return eq 44: the derivative of a unit by any weight of the layer."""
    theorem = reflexivity(partial(_unit(), Atom("W", (_I, _P), (), sp.S.One)), FIRST_LAYER)
    return theorem.by(unfold, "z").by(differentiate).by(collapse)


@cache
def own_gradient() -> Theorem:
    """Return the derivative of a unit by a weight of its own row."""
    theorem = reflexivity(partial(_unit(), Atom("W", (_K, _P), (), sp.S.One)), FIRST_LAYER)
    return theorem.by(unfold, "z").by(differentiate).by(collapse)


@cache
def kernel() -> Theorem:
    """Return eq 45: the tangent kernel of the first layer as a sum over components of the inputs."""
    theorem = reflexivity(atom("Theta", _K, _M, at=(X, Y), layer=1), FIRST_LAYER)
    return theorem.by(unfold, "Theta", "z").by(differentiate).by(collapse)


def _unit_statement(scale: sp.Expr = _ROOT, bias: sp.Expr = sigma_b) -> Expression:
    weighted = total(_P, atom("W", _K, _P, layer=1) * _component(_P))
    result: Expression = scale * weighted + bias * atom("b", _K, layer=1)
    return result


def _gradient_statement(scale: sp.Expr = _ROOT) -> Expression:
    result: Expression = scale * (delta(_I, _K) * _component(_P))
    return result


def _own_gradient_statement(scale: sp.Expr = _ROOT) -> Expression:
    result: Expression = scale * _component(_P)
    return result


def _kernel_statement(weights: sp.Expr | int = 1, bias: sp.Expr = sigma_b**2, second: str = Y) -> Expression:
    products = total(_P, _component(_P) * _component(_P, second))
    scale = sigma_w**2 / input_dimension
    result: Expression = (weights * scale) * (products * delta(_K, _M)) + bias * delta(_K, _M)
    return result


def _observed_kernel() -> tuple[Observed, ...]:
    """Return the tangent kernel that every network shows at its first layer, and what slips would make of it."""
    statement = first_kernel_statement()
    sums = (
        Mutant("a squared delta counts twice", 2 * statement),
        Mutant("the derivative by a bias is 1", statement + (1 - sigma_b**2) * delta(_K, _M)),
        Mutant("all units share one kernel", mutations.without_deltas(statement)),
        shared_bias(statement),
    )
    return (Observed(Observable.FIRST_LAYER_TANGENT, first_kernel_statement, lambda: sums, slot="first_tangent"),)


_EVERY_DRAW = "an equality for every draw of the weights, in which no mean is taken"

CLAIMS = (
    Claim(
        id="eq43",
        title="The first layer as a stacked vector: every row of weights meets the whole input",
        section="4.5",
        equation="43",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=unit,
        statement=_unit_statement,
        mutants=lambda: (
            Mutant("the scale is 1/d", _unit_statement(sigma_w / input_dimension)),
            Mutant("there is no scale", _unit_statement(sigma_w)),
            Mutant("the bias is dropped", _unit_statement(bias=sp.S.Zero)),
        ),
        exhibits=shown.stacked,
        printed=Printed(
            latex=r"z_{k}^{1} = \frac{1}{\sqrt{d}} \sum_{j} W_{k j}^{1} x_{k} + \sigma_{b} b_{k}^{1}",
            correction="x_j under the sum, in every row",
            why="the rows are printed with x_1, x_2, ...: each would see one component, and there are N_2 rows, not d",
        ),
    ),
    Claim(
        id="eq44",
        title="The derivative of a unit of the first layer by any weight of the layer",
        section="4.5",
        equation="44",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=gradient,
        statement=_gradient_statement,
        mutants=lambda: (
            Mutant("the scale is dropped", _gradient_statement(sigma_w)),
            Mutant("the scale is 1/d", _gradient_statement(sigma_w / input_dimension)),
            Mutant("all rows have the derivative", mutations.without_deltas(_gradient_statement())),
            Mutant("the component is not that of the column", _ROOT * (delta(_I, _K) * _component(_Q))),
        ),
        unsampled=_EVERY_DRAW,
        exhibits=shown.gradient,
        rests_on=("eq43",),
    ),
    Claim(
        id="sec4.5-only-row-k",
        title="A unit depends on its own row of the weights only",
        section="4.5",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("eq 44 for two different rows"),
        statement=lambda: Formula(r"\frac{\partial z_{k}^{1}}{\partial W_{i j}^{1}} = 0 \quad (i \neq k)"),
        mutants=tuple,
        unsampled=_EVERY_DRAW,
        exhibits=shown.only_own_row,
        rests_on=("eq44",),
    ),
    Claim(
        id="sec4.5-grad-prose",
        title="The derivative by a weight of the unit's own row is the component of the input, scaled",
        section="4.5",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=own_gradient,
        statement=_own_gradient_statement,
        mutants=lambda: (
            Mutant("the scale is 1/d", _own_gradient_statement(sigma_w / input_dimension)),
            Mutant("σ_w is dropped", _own_gradient_statement(_ROOT / sigma_w)),
        ),
        unsampled=_EVERY_DRAW,
        exhibits=shown.weight_part,
        rests_on=("eq44",),
        printed=Printed(
            latex=r"\frac{\partial z_{k}^{1}}{\partial W_{k j}^{1}} = x_{j}",
            correction="x_j/√d, as in eq 44",
            evaluate=lambda: _own_gradient_statement(sigma_w),
            why="the scale is lost, and the kernel would have x·x' for x·x'/d: 14 for 14/3 at x = (1, 2, 3)",
        ),
    ),
    Claim(
        id="sec4.5-outer",
        title="The matrix of the tangent kernel is a sum over parameters of outer products of vectors",
        section="4.5",
        equation="",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(
            r"\hat\Theta^{l}(x,x') = \sum_{d} \frac{\partial z^{l}(x)}{\partial \theta_{d}}"
            r" \left(\frac{\partial z^{l}(x')}{\partial \theta_{d}}\right)^{\top}"
        ),
        mutants=tuple,
        exhibits=shown.outer_products,
        printed=Printed(
            latex=r"\Theta^{l} = \sum_{d} \frac{\partial F_{k}^{l}}{\partial \theta_{d}} \otimes"
            r" \frac{\partial F_{k'}^{l}}{\partial \theta_{d}}",
            correction="the vectors zˡ(x) and zˡ(x') without indices; F is not defined and means z",
            why="with indices both factors are numbers, and so is the sum: one entry, not the matrix",
        ),
    ),
    Claim(
        id="eq45",
        title="The tangent kernel of the first layer from its gradients, as a sum over components of the inputs",
        section="4.5",
        equation="45",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=kernel,
        statement=_kernel_statement,
        mutants=lambda: (
            Mutant("a squared delta counts twice", _kernel_statement(weights=2, bias=2 * sigma_b**2)),
            Mutant("the sum over rows counts them", _kernel_statement(width(2), sigma_b**2 * width(2))),
            Mutant("the derivative by a bias is 1", _kernel_statement(bias=sp.S.One)),
            Mutant("both components are of one input", _kernel_statement(second=X)),
            shared_bias(_kernel_statement()),
        ),
        observed=_observed_kernel,
        exhibits=shown.deltas,
        rests_on=("eq44",),
        printed=Printed(
            latex=r"\delta_{i k} \delta_{i k'} = \delta_{k k'}",
            correction="summed over i; the deltas belong to the derivatives, and F means z",
            why="without the sum it depends on i: for i = 1 and k = k' = 2 the left side is 0 and the right side 1",
        ),
    ),
    Claim(
        id="eq46",
        title="The tangent kernel of the first layer as a matrix, with the identity of its units",
        section="4.5.1",
        equation="46",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("eqs 40 and 45 as a matrix"),
        statement=lambda: Formula(r"\hat\Theta^{1}(x,x') = K^{1}(x,x') \otimes I_{N_{2}}"),
        mutants=tuple,
        observed=_observed_kernel,
        exhibits=shown.matrix,
        rests_on=("eq45",),
        printed=Printed(
            latex=r"\Theta^{1} = K^{1} \otimes I_{N_{1} \times N_{2}}",
            correction="I_{N_2}, a row and a column for each unit",
            why="the layer has N_2 units; an identity is square, and inputs do not count",
        ),
    ),
)
