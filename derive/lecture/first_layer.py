"""Sections 3.1 to 3.3: the network, what it becomes, and the exact law of its first layer (eqs 10-20).

The lecture has sigma_w = 1 up to eq 57; here every layer has its own scale of weights, 1 included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from derive.claim import Claim, Kind, Mutant, Observable, Printed, Stated, Status
from derive.exhibit import Exhibit, Formula
from derive.laws import GaussianProcess
from derive.lecture import first_layer_exhibits as shown
from derive.lecture import nngp
from derive.lecture.networks import FIRST_LAYER, X, Y
from derive.lecture.nngp import first_kernel_statement, kernel_mutants, kernel_statement, shared_bias
from derive.notation import input_dimension, sigma_b, sigma_w, width
from derive.rules import collapse, fold, independence, isserlis, linearity, unfold
from derive.rules.inference import scalar_of
from derive.terms import Expression, Index, atom, delta, mean
from derive.theorem import Theorem, reflexivity

_UNITS = Index("k", width(2)), Index("k'", width(2))
_WIDTHS = "all hidden widths tend to infinity, one after the other, not that of one layer alone"
_SCALE = "σ_w = 1"


@cache
def covariance_at(x: str) -> Theorem:
    """Return eqs 15 and 16: the covariance of two units of the first layer at one input."""
    k, m = _UNITS
    theorem = reflexivity(mean(atom("z", k, at=(x,), layer=1) * atom("z", m, at=(x,), layer=1)), FIRST_LAYER)
    dot = FIRST_LAYER.definition("dot", None)
    return theorem.by(unfold, "z").by(linearity).by(independence).by(isserlis).by(collapse).by(fold, dot)


def _variance_statement(x: str, power: int = 1) -> Expression:
    """Return ``sigma_b^2 + sigma_w^2 x.x/d`` for two units, with another power of d for a wrong variant."""
    k, m = _UNITS
    product = atom("dot", at=(x, x)) * delta(k, m)
    statement: Expression = sigma_b**2 * delta(k, m) + sigma_w**2 / input_dimension**power * product
    return statement


def _variance_mutants(x: str) -> tuple[Mutant, ...]:
    other = Y if x == X else X
    return (
        Mutant("the dimension is missing", _variance_statement(x, 0)),
        Mutant("the square of the dimension", _variance_statement(x, 2)),
        Mutant("the other input stands for this one", _variance_statement(other)),
        shared_bias(_variance_statement(x)),
    )


def _marginal(number: str, x: str, title: str) -> Claim:
    return Claim(
        id=f"eq{number}",
        title=title,
        section="3.3.1",
        equation=number,
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=lambda: covariance_at(x),
        statement=lambda: _variance_statement(x),
        mutants=lambda: _variance_mutants(x),
        exhibits=shown.characteristic_function,
        unstated=(_SCALE, "units are linear in independent normals, so normal: their law is in this variance"),
    )


def _definition(
    key: str,
    title: str,
    section: str,
    formula: str,
    exhibits: Callable[[], tuple[Exhibit, ...]],
    assumptions: tuple[str, ...] = (),
) -> Claim:
    return Claim(
        id=key,
        title=title,
        section=section,
        equation=key.removeprefix("eq"),
        kind=Kind.DEFINITION,
        status=Status.ASSUMPTION if assumptions else Status.HOLDS,
        theorem=None,
        stated=Stated("a definition", assumptions),
        statement=lambda: Formula(formula),
        mutants=tuple,
        exhibits=exhibits,
    )


def _scalar_mutants() -> tuple[Mutant, ...]:
    return tuple(
        Mutant(m.name, scalar_of(m.statement))
        for m in kernel_mutants(kernel_statement())
        if isinstance(m.statement, Expression)
    )


def _processes(mutants: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    return tuple(Mutant(m.name, GaussianProcess(m.statement)) for m in mutants if isinstance(m.statement, Expression))


def _scaled_bias() -> Mutant:
    k, m = _UNITS
    wrong = sigma_w**2 * sigma_b**2 * delta(k, m)
    wrong = wrong + (sigma_w**2 / input_dimension) * (atom("dot", at=(X, Y)) * delta(k, m))
    return Mutant("the scale of the weights multiplies the bias too", wrong)


CLAIMS = (
    Claim(
        id="eq10",
        title="Units of wide networks are Gaussian processes, whose kernel is a mean over the layer below",
        section="3.1",
        equation="10",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp.nngp_recursion,
        derived=lambda theorem: theorem.where[-1].value,
        statement=lambda: scalar_of(kernel_statement()),
        mutants=_scalar_mutants,
        exhibits=shown.kernel_of_relu,
        rests_on=("eq18", "nngp.kernel-limit"),
        slot="kernel",
        unstated=(_WIDTHS, _SCALE, "σ_b² is added to every entry of the matrix"),
    ),
    Claim(
        id="eq10-iid-k",
        title="In the limit the units of a layer are independent and alike; at finite width they are only uncorrelated",
        section="3.1",
        equation="10",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp.limit_law,
        statement=lambda: GaussianProcess(kernel_statement()),
        mutants=lambda: _processes((*kernel_mutants(kernel_statement()), shared_bias(kernel_statement()))),
        exhibits=shown.dependent_units,
        rests_on=("nngp.kernel-limit",),
        unstated=(_WIDTHS, "in the first layer units are independent at every width"),
    ),
    _definition(
        "eq11",
        "A unit is a sum over the layer below with weights of variance 1/N and a bias of variance σ_b²",
        "3.2",
        r"z^{l}_{k} = b^{l}_{k} + \sum_{j} W^{l}_{k j} \phi(z^{l-1}_{j}),\qquad \mathrm{Var} W^{l}_{k j} = "
        r"\frac{1}{N_{l}},\quad \mathrm{Var}\, b^{l}_{k} = \sigma_{b}^{2}",
        shown.standard_deviations,
        ("the second argument of N(·,·) is a standard deviation here, a variance elsewhere", "at l = 1, φ(z⁰) is x"),
    ),
    Claim(
        id="eq11-reparam",
        title="With unit normals and explicit scales the units have the same law",
        section="3.2",
        equation="11",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=nngp.covariance,
        statement=kernel_statement,
        mutants=lambda: (*kernel_mutants(kernel_statement()), shared_bias(kernel_statement())),
        exhibits=shown.two_forms,
        observable=Observable.UNIT_COVARIANCE,
        slot="kernel",
        rests_on=("eq11",),
        unstated=("eq 11 is read with standard deviations", "the laws agree, the gradients do not"),
    ),
    _definition(
        "eq12",
        "The first layer is affine in the input",
        "3.3",
        r"z^{1}(x) = W^{1} x + b^{1},\qquad W^{1} \in \mathbb{R}^{N_{2} \times d}",
        shown.affine,
    ),
    _definition(
        "eq13",
        "The first layer at another input has the same weights and biases",
        "3.3",
        r"z^{1}(x') = W^{1} x' + b^{1}",
        shown.same_weights,
    ),
    Claim(
        id="eq14",
        title="Different units of the first layer are uncorrelated, at equal and at different inputs",
        section="3.3",
        equation="14",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=nngp.layer1_covariance,
        statement=first_kernel_statement,
        mutants=lambda: (shared_bias(first_kernel_statement()), *kernel_mutants(first_kernel_statement())),
        exhibits=shown.all_units,
        observable=Observable.FIRST_LAYER_MOMENTS,
        slot="first_kernel",
    ),
    _marginal("15", X, "A unit of the first layer at an input is normal with this variance"),
    _marginal("16", Y, "A unit of the first layer at the other input is normal with this variance"),
    Claim(
        id="eq19",
        title="The first layer is a Gaussian process whose kernel is affine in the inner product",
        section="3.3.1",
        equation="19",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=nngp.layer1_law,
        statement=lambda: GaussianProcess(first_kernel_statement()),
        mutants=lambda: _processes((*kernel_mutants(first_kernel_statement()), _scaled_bias())),
        exhibits=shown.gram_of_first_layer,
        rests_on=("eq14",),
    ),
    Claim(
        id="eq20",
        title="The activation acts on each of the N₂ units of the first layer",
        section="3.3.2",
        equation="20",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(r"\phi(z^{1}) = \left(\phi(z^{1}_{1}), \dots, \phi(z^{1}_{N_{2}})\right)^{\top}"),
        mutants=tuple,
        exhibits=shown.elementwise,
        printed=Printed(
            latex=r"\left(\phi(z^{1}_{1}), \dots, \phi(z^{1}_{k})\right)^{\top}",
            correction="the last entry is that of unit N₂",
            why="k is the index of one unit and has no value here; the next layer needs all N₂ entries",
        ),
    ),
    Claim(
        id="sec3.3.2-distribution",
        title="The law of an activation is that of a normal seen through it: known, and not normal",
        section="3.3.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a remark on a law that is the image of a normal one",
            ("hard to name is not unknown: it is an image of the normal law", "entries of the first layer stay iid"),
        ),
        statement=lambda: Formula(
            r"P\left(\phi(z^{1}_{k}) \le t\right) = P\left(z^{1}_{k} \in \phi^{-1}(-\infty, t]\right)"
        ),
        mutants=tuple,
        exhibits=shown.images_of_normals,
    ),
)
