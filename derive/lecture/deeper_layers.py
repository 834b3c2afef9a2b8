"""Sections 3.4.1 and 3.4.2: units of a deeper layer are uncorrelated, and normal and independent in the limit.

The lecture applies the central limit theorem to one unit at a time, which says nothing on two of them. Here every unit
is normal given the layer below, and the conditional covariance tends to a constant: this gives the joint law. The
summands W_kj phi(z_j) must be iid over j, with a finite second moment (eqs 21-26).

Sources: Neal 1994; Matthews et al. 2018 (arXiv:1804.11271).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.laws import GaussianProcess
from derive.lecture import deeper_layer_exhibits as shown
from derive.lecture.finite_width import output_moments_statement
from derive.lecture.networks import DEEPER_LAYER, X, Y
from derive.lecture.nngp import (
    as_processes,
    conditional_law,
    empirical_statement,
    first_kernel_statement,
    kernel_mutants,
    kernel_statement,
    layer1_law,
    layer_off_by_one,
    limit_law,
    shared_bias,
)
from derive.model import Definition
from derive.notation import layer, sigma_b, sigma_w, width
from derive.rules import (
    collapse,
    gaussian_law,
    gaussian_mixture,
    independence,
    isserlis,
    law_of_large_numbers,
    linearity,
    unfold,
)
from derive.terms import Expression, Index, atom, constant, delta, mean, total
from derive.theorem import Theorem, reflexivity

K, M = (Index(name, width(layer + 1)) for name in ("k", "k'"))
J, FIRST = Index("j", width(layer)), Index("1", width(layer))
SCALE = sigma_w / sp.sqrt(width(layer))


def phi(unit: Index, x: str) -> Expression:
    """Return the activation of a unit of the layer below."""
    return atom("phi", unit, at=(x,), layer=layer - 1)


def summand(k: Index, j: Index, x: str) -> Expression:
    """Return one term of the sum over the layer below, with the scale of its weight."""
    term: Expression = SCALE * (atom("W", k, j, layer=layer) * phi(j, x))
    return term


SUMS = replace(
    DEEPER_LAYER,
    name="the weighted sums of a layer, without its biases",
    definitions=(Definition("S", (K,), (X,), layer, total(J, summand(K, J, X))),),
)


def weighted_sum(k: Index, x: str) -> Expression:
    """Return a unit without its bias."""
    return atom("S", k, at=(x,), layer=layer)


@cache
def uncorrelated() -> Theorem:
    """Return that the covariance of two units is 0 wherever they are not one: at every width, for any law below."""
    units = atom("z", K, at=(X,), layer=layer) * atom("z", M, at=(Y,), layer=layer)
    theorem = reflexivity((constant(1) - delta(K, M)) * mean(units), DEEPER_LAYER)
    return theorem.by(unfold, "z").by(linearity).by(independence).by(isserlis).by(collapse)


@cache
def summand_mean() -> Theorem:
    """Return the mean of one term of the sum."""
    return reflexivity(mean(summand(K, FIRST, X)), DEEPER_LAYER).by(linearity).by(independence).by(isserlis)


@cache
def summand_covariance(x: str, y: str) -> Theorem:
    """Return the covariance of one term of the sum at two inputs, or its variance at one: exact for any law below."""
    theorem = reflexivity(mean(summand(K, FIRST, x) * summand(K, FIRST, y)), DEEPER_LAYER)
    return theorem.by(linearity).by(independence).by(isserlis).by(collapse)


def _given(k: Index, m: Index, x: str, y: str) -> Theorem:
    theorem = reflexivity(mean(weighted_sum(k, x) * weighted_sum(m, y), ("phi", "dphi")), SUMS)
    return theorem.by(unfold, "S").by(linearity).by(isserlis).by(collapse)


@cache
def sums_limit_law() -> Theorem:
    """Return the limit law of the sums: given the layer below they are normal, with a covariance that converges."""
    second_moment = _given(K, M, X, Y)
    return gaussian_mixture(gaussian_law(second_moment), second_moment.by(law_of_large_numbers, width(layer)))


@cache
def sums_variance_limit() -> Theorem:
    """Return the limit of the variance of one sum given the layer below."""
    return _given(K, K, X, X).by(law_of_large_numbers, width(layer))


def product_of_activations(x: str, y: str) -> Expression:
    """Return ``E[phi phi']`` of one unit at two inputs."""
    return mean(phi(FIRST, x) * phi(FIRST, y))


def product_of_means(x: str, y: str) -> Expression:
    """Return ``E[phi] E[phi']``: what a covariance has less than a second moment."""
    return mean(phi(FIRST, x)) * mean(phi(FIRST, y))


def summand_statement(x: str, y: str) -> Expression:
    """Return ``sigma_w^2/N_l E[phi phi']``."""
    statement: Expression = SCALE**2 * product_of_activations(x, y)
    return statement


def summand_centred(x: str, y: str) -> Expression:
    """Return ``sigma_w^2/N_l Cov[phi, phi']``."""
    statement: Expression = SCALE**2 * (product_of_activations(x, y) - product_of_means(x, y))
    return statement


def summand_mutants(x: str, y: str) -> tuple[Mutant, ...]:
    """Return wrong variants of the covariance of one term of the sum."""
    statement = summand_statement(x, y)
    return (
        Mutant("the means of activations are subtracted", summand_centred(x, y)),
        Mutant("1/√N_l stands for 1/N_l", mutations.scaled(statement, sp.sqrt(width(layer)))),
        Mutant("the product of means stands for the mean of the product", SCALE**2 * product_of_means(x, y)),
        Mutant("the constant is 2 % too large", mutations.scaled(statement)),
    )


def sums_statement() -> Expression:
    """Return ``sigma_w^2 E[phi phi'] delta``."""
    statement: Expression = sigma_w**2 * (product_of_activations(X, Y) * delta(K, M))
    return statement


def sums_mutants() -> tuple[Mutant, ...]:
    """Return wrong variants of the covariance of the sums in the limit."""
    statement = sums_statement()
    return (
        Mutant("the means of activations are subtracted", centred(statement)),
        Mutant("the factor N_l is missing", mutations.scaled(statement, 1 / width(layer))),
        Mutant("a factor √N_l is left", mutations.scaled(statement, sp.sqrt(width(layer)))),
        Mutant("all units have the same weights", mutations.without_deltas(statement)),
    )


def centred(statement: Expression) -> Expression:
    """Return a covariance with ``Cov[phi, phi']`` in place of ``E[phi phi']``."""
    wrong: Expression = statement - sigma_w**2 * (product_of_means(X, Y) * delta(K, M))
    return wrong


def limit_mutants() -> tuple[Mutant, ...]:
    """Return wrong variants of the limit law of a layer."""
    statement = kernel_statement()
    subtracted = Mutant("the means of activations are subtracted", centred(statement))
    return as_processes((*kernel_mutants(statement), layer_off_by_one(), shared_bias(statement), subtracted))


def independence_mutants() -> tuple[Mutant, ...]:
    """Return laws of a layer in the limit whose units are not independent."""
    return as_processes(
        (
            shared_bias(kernel_statement()),
            Mutant("all units are one", mutations.without_deltas(kernel_statement())),
        )
    )


def _independent_units() -> tuple[Observed, ...]:
    """Return what the units of the second layer, below the third, show: in the limit they are independent."""
    return (Observed(Observable.LIMIT_LAW, lambda: GaussianProcess(kernel_statement()), independence_mutants),)


def _squares_of_terms(factor: sp.Expr | int = 1) -> Expression:
    """Return the mean product of squares of two terms at two inputs, which is that of their second moments."""
    statement: Expression = (factor * SCALE**4) * (product_of_activations(X, X) * product_of_activations(Y, Y))
    return statement


def _mutants_of_squares() -> tuple[Mutant, ...]:
    fourth = mean(phi(FIRST, X) * phi(FIRST, X) * phi(FIRST, Y) * phi(FIRST, Y))
    return (
        Mutant("all terms have the same weight", _squares_of_terms(3)),
        Mutant("all terms have the same unit", SCALE**4 * fourth),
        Mutant("all terms are one", 3 * SCALE**4 * fourth),
    )


SEQUENTIAL = (
    "N_2, …, N_{l-1} tend to infinity before N_l; all at once the terms are exchangeable but not independent, and "
    "their central limit theorem is another"
)
_WHY = "weights have mean 0, activations need not: the variance of their product has E[φ²], not Var φ"


def _affine(number: str, title: str, formula: str, exhibits: object) -> Claim:
    return Claim(
        id=f"eq{number}",
        title=title,
        section="3.4",
        equation=number,
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a definition, or a row of one"),
        statement=lambda: Formula(formula),
        mutants=tuple,
        exhibits=exhibits,  # type: ignore[arg-type]  # a function of no arguments
    )


CLAIMS = (
    _affine(
        "21",
        "Layer l is an affine image of the activations of the layer below",
        r"z^{l}(x) = W^{l} \phi(z^{l-1}(x)) + b^{l},\qquad W^{l} \in \mathbb{R}^{N_{l+1} \times N_{l}}",
        shown.affine,
    ),
    _affine(
        "22",
        "At another input layer l has the same weights and biases",
        r"z^{l}(x') = W^{l} \phi(z^{l-1}(x')) + b^{l}",
        shown.affine_elsewhere,
    ),
    _affine(
        "23",
        "A unit of layer l is a weighted sum over the activations of the layer below",
        r"z^{l}_{k} = \sum_{j} W^{l}_{k j}\, \phi(z^{l-1}_{j}) + b^{l}_{k}",
        shown.row,
    ),
    Claim(
        id="sec3.4.1-zero-cov",
        title="Different units of a deeper layer are uncorrelated, at every width and for any law below",
        section="3.4.1",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=uncorrelated,
        statement=Expression,
        mutants=lambda: (
            Mutant("all units share one bias", (constant(1) - delta(K, M)) * (sigma_b**2 * constant(1))),
            Mutant(
                "all units have the same weights",
                (constant(1) - delta(K, M)) * (sigma_w**2 * product_of_activations(X, Y)),
            ),
            Mutant("equal units are meant too", kernel_statement()),
        ),
        observable=Observable.DIFFERENT_UNITS,
        exhibits=shown.uncorrelated,
    ),
    Claim(
        id="sec3.4.1-base",
        title="Units of the first layer are independent, since they are jointly normal and uncorrelated",
        section="3.4.1",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=layer1_law,
        statement=lambda: GaussianProcess(first_kernel_statement()),
        mutants=lambda: as_processes(
            (
                shared_bias(first_kernel_statement()),
                Mutant("all units are one", mutations.without_deltas(first_kernel_statement())),
            )
        ),
        observable=Observable.FIRST_LAYER_LAW,
        exhibits=shown.squares_in_the_first_layer,
        rests_on=("eq17",),
    ),
    Claim(
        id="sec3.4.1-hypothesis",
        title="The induction assumes that units of the layer below are iid Gaussian processes",
        section="3.4.1",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "the hypothesis of an induction; eq 34 discharges it",
            ("exact for the first layer; above it only as N_2, …, N_{l-1} tend to infinity, one after the other",),
        ),
        statement=lambda: Formula(r"z^{l-1}_{j} \sim \mathcal{GP}(0, K^{l-1})\; \mathrm{iid}"),
        mutants=tuple,
        observed=_independent_units,
        exhibits=shown.hypothesis,
    ),
    Claim(
        id="eq24",
        title="A unit of layer l tends to a normal law whose variance has the second moment of the activation",
        section="3.4.1",
        equation="24",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=limit_law,
        statement=lambda: GaussianProcess(kernel_statement()),
        mutants=limit_mutants,
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW,
        exhibits=lambda: shown.second_moment_of_relu(with_bias=True),
        rests_on=("nngp.kernel-limit",),
        printed=Printed(
            latex=r"\mathcal{N}\left(0,\; \mathrm{Var}\left[\phi(z^{l-1}_{1}(x))\right] + \sigma_{b}^{2}\right)",
            correction="E[φ(z_1^{l-1}(x))²] + σ_b²: the second moment in place of the variance",
            why=f"{_WHY}; eqs 30, 32 and 34 have the second moment",
        ),
    ),
    Claim(
        id="sec3.4.1-independence",
        title="Units of layer l are independent in the limit, by their joint law given the layer below",
        section="3.4.1",
        equation="",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=limit_law,
        statement=lambda: GaussianProcess(kernel_statement()),
        mutants=independence_mutants,
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW,
        exhibits=shown.dependence,
        rests_on=("nngp.kernel-limit",),
        printed=Printed(
            latex=r"z^{l}_{k} \to \mathcal{N}(0, v)\;\forall k \implies z^{l}_{k} \perp z^{l}_{k'}",
            correction="show the joint limit law of the units: normal given the layer below, with a covariance that "
            "tends to a constant; at finite width units are only uncorrelated",
            why="limits of each unit alone, and covariance 0, say nothing on independence",
        ),
    ),
    Claim(
        id="sec3.4.1-implies-lower",
        title="Independence of the units below is the hypothesis of the step, not its consequence",
        section="3.4.1",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "it repeats the hypothesis",
            ("for l - 1 ≥ 2 only as N_2, …, N_{l-1} tend to infinity; false at finite width",),
        ),
        statement=lambda: Formula(r"z^{l-1}_{k} \perp z^{l-1}_{k'},\quad k \ne k'"),
        mutants=tuple,
        observed=_independent_units,
        exhibits=shown.lower_layer,
    ),
    Claim(
        id="eq25-mean",
        title="Every term of the sum over the layer below has mean zero",
        section="3.4.2",
        equation="25",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=summand_mean,
        statement=Expression,
        mutants=lambda: (
            Mutant("weights have mean 1", SCALE * mean(phi(FIRST, X))),
            Mutant("it is the second moment", summand_statement(X, X)),
        ),
        unstated=("E|φ(z_1^{l-1}(x))| is finite",),
        observable=Observable.TERM_MEANS,
    ),
    Claim(
        id="eq25",
        title="Variance of a term of the sum over the layer below: the second moment of the activation over N_l",
        section="3.4.2",
        equation="25",
        kind=Kind.FINITE_WIDTH,
        status=Status.WRONG,
        theorem=lambda: summand_covariance(X, X),
        statement=lambda: summand_statement(X, X),
        mutants=lambda: summand_mutants(X, X),
        observable=Observable.TERM_VARIANCES,
        exhibits=shown.summand,
        printed=Printed(
            latex=r"\frac{1}{N_{l}}\, \mathrm{Var}\left[\phi(z^{l-1}_{1}(x))\right]",
            correction="1/N_l E[φ(z_1^{l-1}(x))²], as in the line before",
            why=f"{_WHY}; they are equal only where E φ = 0",
        ),
    ),
    Claim(
        id="sec3.4.2-bounded",
        title="The second moment of the activation is finite for a suitable activation, not for every one",
        section="3.4.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a condition on the activation",
            ("E[φ²] is finite at every layer, as where |φ(z)| ≤ c + |z|^m; exp(z²/4) violates it where K ≥ 1",),
        ),
        statement=lambda: Formula(r"\mathbb{E}\left[\phi(z^{l-1}_{1}(x))^{2}\right] < \infty"),
        mutants=tuple,
        unsampled="a condition on the activation, on which a Gaussian mean decides",
        exhibits=shown.growth,
    ),
    Claim(
        id="sec3.4.2-summands-iid",
        title="Terms of the sum over the layer below are iid at l = 2, above it in the limit",
        section="3.4.2",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "it is the hypothesis on the layer below, times independent weights",
            (SEQUENTIAL, "the terms shrink with N_l: the theorem is applied to √N_l times each, or to an array"),
        ),
        statement=lambda: Formula(r"W^{l}_{k j}\, \phi(z^{l-1}_{j}),\; j = 1, \dots, N_{l},\; \mathrm{iid}"),
        mutants=tuple,
        observed=lambda: (Observed(Observable.TERM_SQUARES, _squares_of_terms, _mutants_of_squares),),
        exhibits=shown.summands,
    ),
    Claim(
        id="eq26",
        title="The sum over the layer below tends to a normal law with the second moment of the activation",
        section="3.4.2",
        equation="26",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=sums_limit_law,
        statement=lambda: GaussianProcess(sums_statement()),
        mutants=lambda: as_processes(sums_mutants()),
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW_OF_SUMS,
        exhibits=shown.second_moment_of_relu,
        rests_on=("nngp.unit-covariance",),
        printed=Printed(
            latex=r"\mathcal{N}\left(0,\; \mathrm{Var}\left[\phi(z^{l-1}_{1}(x))\right]\right)",
            correction="E[φ(z_1^{l-1}(x))²] in place of the variance; limits do not depend on N_l",
            why=_WHY,
        ),
    ),
    Claim(
        id="sec3.4.2-unknown-law",
        title="Given the layer below, layer l is exactly normal at every width: its law is a mixture of normal ones",
        section="3.4.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        theorem=conditional_law,
        statement=lambda: GaussianProcess(empirical_statement()),
        mutants=lambda: as_processes(
            (
                Mutant("it is its mean, as in the limit", kernel_statement()),
                Mutant("1/√N_l stands for 1/N_l", empirical_statement(sigma_w**2 / sp.sqrt(width(layer)))),
                Mutant("units share one bias", mutations.without_deltas(empirical_statement(), mutations.is_bias)),
            )
        ),
        unstated=("the layer below is given; without that the law is a mixture, which is not normal",),
        observed=lambda: (
            Observed(
                Observable.OUTPUT_MOMENTS,
                output_moments_statement,
                lambda: (
                    Mutant("it is its mean, as in the limit", output_moments_statement(sp.oo)),
                    Mutant("the variance of the kernel falls like N⁻²", output_moments_statement(width(layer) ** 2)),
                ),
            ),
        ),
        exhibits=shown.kurtosis,
    ),
)
