"""Sections 3.1 to 3.3: the network, and its first layer, which is exactly Gaussian at every width (eqs 10-20).

Source: Neal 1994; Lee et al. 2017 (arXiv:1711.00165).
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.laws import GaussianProcess
from derive.lecture import first_layer_exhibits as shown
from derive.lecture.networks import FIRST_LAYER, X, Y
from derive.lecture.nngp import (
    as_processes,
    first_kernel_statement,
    kernel_mutants,
    kernel_statement,
    layer1_law,
    layer_off_by_one,
    nngp_recursion,
    shared_bias,
)
from derive.notation import input_dimension, layer, sigma_b, sigma_w, width
from derive.rules import collapse, fold, independence, isserlis, linearity, unfold
from derive.rules.inference import scalar_of
from derive.terms import Expression, Index, atom, constant, delta, mean
from derive.theorem import Theorem, reflexivity

_A, _B = (Index(name, width(2)) for name in ("k", "k'"))


def _unit(k: Index, x: str) -> Expression:
    return atom("z", k, at=(x,), layer=1)


def _evaluated(left: Expression) -> Theorem:
    return reflexivity(left, FIRST_LAYER).by(unfold, "z").by(linearity).by(independence).by(isserlis).by(collapse)


@cache
def different_units() -> Theorem:
    """Return that the covariance of two units is 0 wherever they are not one."""
    return _evaluated((constant(1) - delta(_A, _B)) * mean(_unit(_A, X) * _unit(_B, Y)))


@cache
def variance(x: str) -> Theorem:
    """Return the variance of a unit at one input."""
    return _evaluated(mean(_unit(_A, x) * _unit(_A, x))).by(fold, FIRST_LAYER.definition("dot", None))


def variance_statement(x: str, other: str | None = None, scale: sp.Expr | None = None) -> Expression:
    """Return ``sigma_b^2 + sigma_w^2/d x^T x``."""
    factor = sigma_w**2 / input_dimension if scale is None else scale
    statement: Expression = sigma_b**2 * constant(1) + factor * atom("dot", at=(x, other or x))
    return statement


def _variance_mutants(x: str, other: str) -> tuple[Mutant, ...]:
    statement = variance_statement(x)
    return (
        Mutant("there is no 1/N₁", variance_statement(x, scale=sigma_w**2)),
        Mutant("1/√N₁ stands for 1/N₁", variance_statement(x, scale=sigma_w**2 / sp.sqrt(input_dimension))),
        Mutant("one factor is taken at the other input", variance_statement(x, other)),
        Mutant("σ_b stands for σ_b²", mutations.recoefficiented(statement, _root_of_bias)),
    )


def _root_of_bias(coefficient: sp.Expr) -> sp.Expr:
    return sigma_b if coefficient == sigma_b**2 else coefficient


def _off_diagonal(statement: Expression) -> Expression:
    return (constant(1) - delta(_A, _B)) * statement


def limit_process(with_delta: bool = True, factor: sp.Expr = sp.S.One) -> GaussianProcess:
    """Return the process whose units are independent with covariance K^l, or are one and the same."""
    k, m = (Index(name, width(layer + 1)) for name in ("k", "k'"))
    kernel = factor * atom("K", at=(X, Y), layer=layer)
    return GaussianProcess(kernel * delta(k, m) if with_delta else kernel * constant(1))


def _first_process_mutants() -> tuple[Mutant, ...]:
    statement = first_kernel_statement()
    return as_processes((*kernel_mutants(statement), shared_bias(statement)))


def _first_kernel(of_weights: sp.Expr = sigma_w**2 / input_dimension, of_bias: sp.Expr = sigma_b**2) -> Expression:
    statement: Expression = (of_bias * constant(1) + of_weights * atom("dot", at=(X, Y))) * delta(_A, _B)
    return statement


def _normal_unit() -> tuple[Observed, ...]:
    """Return the law of the first layer, of which the variance is a part, with what the variance may be wrong by."""
    return (
        Observed(
            Observable.FIRST_LAYER_LAW,
            lambda: GaussianProcess(first_kernel_statement()),
            lambda: as_processes(
                (
                    Mutant("there is no 1/N₁", _first_kernel(sigma_w**2)),
                    Mutant("1/√N₁ stands for 1/N₁", _first_kernel(sigma_w**2 / sp.sqrt(input_dimension))),
                    Mutant("σ_b stands for σ_b²", _first_kernel(of_bias=sigma_b)),
                )
            ),
        ),
    )


_WIDTHS = "N_2, …, N_l all tend to infinity, here one after the other; not N_l alone"

CLAIMS = (
    Claim(
        id="eq10",
        title="Units of every layer tend to Gaussian processes, whose kernel is a recursion over the layers",
        section="3.1",
        equation="10",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp_recursion,
        statement=lambda: scalar_of(kernel_statement()),
        derived=lambda theorem: theorem.where[-1].value,
        mutants=lambda: tuple(
            Mutant(m.name, scalar_of(m.statement))
            for m in (*kernel_mutants(kernel_statement()), layer_off_by_one())
            if isinstance(m.statement, Expression)
        ),
        unstated=(_WIDTHS, "for a matrix of inputs σ_b² is added to every entry: σ_b² 1 1ᵀ", "σ_w = 1 as printed"),
        observable=Observable.DEEP_KERNEL,
        slot="kernel",
        exhibits=shown.recursion,
        rests_on=("eq18", "nngp.kernel-limit"),
    ),
    Claim(
        id="eq10-iid-k",
        title="Units of one layer are independent in the limit, not before it above the first layer",
        section="3.1",
        equation="10",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp_recursion,
        statement=limit_process,
        mutants=lambda: (
            Mutant("all units are one", limit_process(with_delta=False)),
            Mutant("the covariance is 2 % too large", limit_process(factor=mutations.PERCENT_2)),
        ),
        unstated=(_WIDTHS, "at finite width only the first layer has independent units; others are uncorrelated"),
        observable=Observable.LIMIT_LAW,
        exhibits=shown.squares_of_units,
        rests_on=("eq18", "nngp.kernel-limit"),
    ),
    Claim(
        id="eq11",
        title="A unit is the sum of a bias and of the activations below times normal weights",
        section="3.2",
        equation="11",
        kind=Kind.DEFINITION,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a definition",
            (
                "the second arguments of N(., .) are standard deviations squared into Var W = 1/N_l, Var b = σ_b²",
                "in the first layer the input takes the place of the activations",
            ),
        ),
        statement=lambda: Formula(
            r"z^{l}_{k} = b^{l}_{k} + \sum_{j} W^{l}_{k j}\, \phi(z^{l-1}_{j}),\qquad "
            r"\mathrm{Var}\, W^{l}_{k j} = 1/N_{l},\; \mathrm{Var}\, b^{l}_{k} = \sigma_{b}^{2}"
        ),
        mutants=tuple,
        exhibits=shown.reading_of_the_scale,
    ),
    Claim(
        id="eq11-reparam",
        title="With standard normal parameters and explicit scales a unit has the same law",
        section="3.2",
        equation="11",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a normal number is its standard deviation times a standard normal one",
            ("Var W = 1/N_l and Var b = σ_b² in the other form", "equal in law; derivatives by W and b are not equal"),
        ),
        statement=lambda: Formula(
            r"z^{l}_{k} = \sigma_{b} b^{l}_{k} + N_{l}^{-1/2} \sum_{j} W^{l}_{k j}\, \phi(z^{l-1}_{j}),\qquad "
            r"W^{l}_{k j}, b^{l}_{k} \sim \mathcal{N}(0, 1)"
        ),
        mutants=tuple,
        observed=lambda: (
            Observed(
                Observable.FIRST_LAYER_LAW,
                lambda: GaussianProcess(first_kernel_statement()),
                lambda: as_processes(
                    (
                        Mutant("the scale is 1/N₁", _first_kernel(sigma_w**2 / input_dimension**2)),
                        Mutant("σ_b² multiplies the bias", _first_kernel(of_bias=sigma_b**4)),
                    )
                ),
            ),
        ),
        exhibits=shown.two_forms,
    ),
    Claim(
        id="eq12",
        title="The first layer is an affine image of the input",
        section="3.3",
        equation="12",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(r"z^{1}(x) = W^{1} x + b^{1},\qquad W^{1} \in \mathbb{R}^{N_{2} \times N_{1}}"),
        mutants=tuple,
        exhibits=shown.affine,
    ),
    Claim(
        id="eq13",
        title="At another input the first layer has the same weights and biases",
        section="3.3",
        equation="13",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(r"z^{1}(x') = W^{1} x' + b^{1}"),
        mutants=tuple,
        exhibits=shown.affine_elsewhere,
    ),
    Claim(
        id="eq14",
        title="Different units of the first layer are uncorrelated, at equal and at different inputs",
        section="3.3",
        equation="14",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=different_units,
        statement=Expression,
        mutants=lambda: (
            Mutant("all units share one bias", _off_diagonal(sigma_b**2 * constant(1))),
            Mutant("equal units are meant too", first_kernel_statement()),
            Mutant(
                "all units share one row of weights",
                _off_diagonal((sigma_w**2 / input_dimension) * atom("dot", at=(X, Y))),
            ),
        ),
        observable=Observable.DIFFERENT_FIRST_UNITS,
    ),
    Claim(
        id="eq15",
        title="Variance of a unit of the first layer, which is normal",
        section="3.3.1",
        equation="15",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=lambda: variance(X),
        statement=lambda: variance_statement(X),
        mutants=lambda: _variance_mutants(X, Y),
        observed=_normal_unit,
        exhibits=lambda: shown.normal_unit(0),
        rests_on=("eq18",),
    ),
    Claim(
        id="eq16",
        title="Variance of a unit of the first layer at the other input, where it is normal too",
        section="3.3.1",
        equation="16",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=lambda: variance(Y),
        statement=lambda: variance_statement(Y),
        mutants=lambda: _variance_mutants(Y, X),
        observed=_normal_unit,
        exhibits=lambda: shown.normal_unit(1),
        rests_on=("eq18",),
    ),
    Claim(
        id="eq19",
        title="A unit of the first layer is a Gaussian process with an affine kernel, at any number of inputs",
        section="3.3.1",
        equation="19",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=layer1_law,
        statement=lambda: GaussianProcess(first_kernel_statement()),
        mutants=lambda: (
            *_first_process_mutants(),
            Mutant(
                "σ_w² multiplies the bias too",
                GaussianProcess(mutations.only_scaled(first_kernel_statement(), mutations.is_bias, sigma_w**2)),
            ),
        ),
        observed=lambda: (
            Observed(
                Observable.FIRST_LAYER_AT_FOUR_INPUTS,
                lambda: GaussianProcess(first_kernel_statement()),
                _first_process_mutants,
            ),
        ),
        exhibits=shown.three_inputs,
        observable=Observable.FIRST_LAYER_LAW,
        rests_on=("eq17",),
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
        statement=lambda: Formula(r"\phi(z^{1}) = (\phi(z^{1}_{1}), \dots, \phi(z^{1}_{N_{2}}))^{\top}"),
        mutants=tuple,
        exhibits=shown.elementwise,
        printed=Printed(
            latex=r"(\phi(z^{1}_{1}), \dots, \phi(z^{1}_{k}))^{\top}",
            correction="the last component is that of the unit N_2",
            why="k is the index of any one unit; the vector has all N_2 of them, as eq 21 needs",
        ),
    ),
    Claim(
        id="sec3.3.2-distribution",
        title="The law of an activation is the image of a normal law, in general not normal",
        section="3.3.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated("the law of a function of a number is the image of its law", ("φ is measurable",)),
        statement=lambda: Formula(r"\mathrm{law}(\phi(z^{1}_{k}(x))) = \mathcal{N}(0, K^{1}(x, x)) \circ \phi^{-1}"),
        mutants=tuple,
        exhibits=shown.image_of_a_normal_law,
        unsampled="its law is known exactly: moments are compared at concrete numbers",
    ),
)
