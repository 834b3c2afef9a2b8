"""Sections 3.4.3 and 3.4.4: a unit at several inputs, and the Gaussian process of a layer in the limit (eqs 27-33).

The lecture has two inputs at a time; a Gaussian process needs every finite number of them. The route by the law given
the layer below has all units at all inputs at once, so nothing is left to show.

Source: Matthews et al. 2018 (arXiv:1804.11271).
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.laws import GaussianProcess
from derive.lecture import deeper_layer_exhibits
from derive.lecture import joint_law_exhibits as shown
from derive.lecture.deeper_layers import (
    SEQUENTIAL,
    K,
    M,
    centred,
    limit_mutants,
    product_of_activations,
    product_of_means,
    summand_covariance,
    summand_mutants,
    summand_statement,
    sums_limit_law,
    sums_mutants,
    sums_statement,
    sums_variance_limit,
)
from derive.lecture.first_layer import limit_process
from derive.lecture.networks import DEEPER_LAYER, X, Y
from derive.lecture.nngp import as_processes, kernel_statement, limit_law, nngp_recursion
from derive.notation import layer, sigma_b, sigma_w, width
from derive.rules import collapse, independence, isserlis, law_of_large_numbers, linearity, unfold
from derive.terms import Expression, Index, atom, constant, delta, mean
from derive.theorem import Theorem, reflexivity


@cache
def covariance_of_biases() -> Theorem:
    """Return what the biases contribute to the covariance of two units, at whatever inputs."""
    b, c = (atom("b", k, layer=layer) for k in (K, M))
    return reflexivity(mean((sigma_b * b) * (sigma_b * c)), DEEPER_LAYER).by(linearity).by(isserlis)


@cache
def one_unit() -> Theorem:
    """Return the limit of the covariance of one unit at two inputs, given the layer below."""
    unit = [atom("z", K, at=(x,), layer=layer) for x in (X, Y)]
    theorem = reflexivity(mean(unit[0] * unit[1], ("phi", "dphi")), DEEPER_LAYER)
    exact = theorem.by(unfold, "z").by(linearity).by(independence).by(isserlis).by(collapse)
    return exact.by(law_of_large_numbers, width(layer))


def kernel_of_one_unit() -> Expression:
    """Return ``sigma_b^2 + sigma_w^2 E[phi phi']``."""
    statement: Expression = sigma_b**2 * constant(1) + sigma_w**2 * product_of_activations(X, Y)
    return statement


def diagonal_statement() -> Expression:
    """Return ``sigma_w^2 E[phi^2]``."""
    statement: Expression = sigma_w**2 * product_of_activations(X, X)
    return statement


def _frozen() -> Expression:
    """Return the covariance of sums whose terms all have the first weight."""
    means = product_of_means(X, Y) * delta(K, M)
    wrong: Expression = sums_statement() + (sigma_w**2 * (width(layer) - 1)) * means
    return wrong


def _weight_of_the_layer_below() -> Mutant:
    wrong = 3 * summand_statement(X, Y)
    return Mutant("W is of layer l - 1: at N₁ = 1 and x = 1 the mean is three times it", wrong)


def _below_in_itself() -> Mutant:
    own = Index("1", width(layer))
    factors = mean(atom("phi", own, at=(X,), layer=layer - 1) * atom("phi", own, at=(X,), layer=layer - 1))
    return Mutant("both factors are at the same input", sigma_b**2 * constant(1) + sigma_w**2 * factors)


def _process_mutants() -> tuple[Mutant, ...]:
    return (
        Mutant("all units are one", limit_process(with_delta=False)),
        Mutant("the covariance is 2 % too small", limit_process(factor=sp.Rational(49, 50))),
    )


_EVERY = "the limit is one in law, of any finite number of inputs"
_FROZEN_WHY = "with one weight in common the terms are not independent: the variance diverges unless E φ = 0"

CLAIMS = (
    Claim(
        id="sec3.4.3-title",
        title="The joint law that is found is of one unit at two inputs; two units are uncorrelated",
        section="3.4.3",
        equation="",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=limit_law,
        statement=lambda: GaussianProcess(kernel_statement()),
        mutants=lambda: as_processes(
            (
                Mutant("the covariance of one unit is claimed of two", mutations.without_deltas(kernel_statement())),
                Mutant("the means of activations are subtracted", centred(kernel_statement())),
            )
        ),
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW,
        rests_on=("nngp.kernel-limit",),
        printed=Printed(
            latex=r"p(z^{l}_{k}(x), z^{l}_{k'}(x'))",
            correction="p(z_k^l(x), z_k^l(x')); the terms of the sum are pairs W_kj (φ(z_j(x)), φ(z_j(x')))",
            evaluate=lambda: GaussianProcess(mutations.without_deltas(kernel_statement())),
            why="for k ≠ k' the covariance is 0, not that of eq 30",
        ),
    ),
    Claim(
        id="eq27",
        title="Sums over the layer below at two inputs tend to a normal pair",
        section="3.4.3",
        equation="27",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=sums_limit_law,
        statement=lambda: GaussianProcess(sums_statement()),
        mutants=lambda: as_processes(
            (*sums_mutants(), Mutant("all terms of a sum have the same weight", _frozen())),
        ),
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW_OF_SUMS,
        exhibits=shown.frozen_weight,
        rests_on=("nngp.unit-covariance",),
        printed=Printed(
            latex=r"\sum_{j} W^{l}_{k 1}\, \phi(z^{l-1}_{j}) \to \mathcal{N}(0, N_{l} \Sigma)",
            correction="W_kj in place of W_k1, and the pair of sums at x and x' on the left",
            why=_FROZEN_WHY,
        ),
    ),
    Claim(
        id="eq28",
        title="The matrix of second moments of a centred pair is its covariance",
        section="3.4.3",
        equation="28",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a definition", ("the pair has mean 0",)),
        statement=lambda: Formula(r"\Sigma(y) = \mathbb{E}\left[y y^{\top}\right] = \mathrm{Cov}(y)"),
        mutants=tuple,
        exhibits=shown.second_moments,
    ),
    Claim(
        id="sec3.4.3-diag-known",
        title="The variance of a sum over the layer below tends to the second moment of the activation",
        section="3.4.3",
        equation="",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=sums_variance_limit,
        statement=diagonal_statement,
        mutants=lambda: (
            Mutant("the variance of φ stands for it", diagonal_statement() - sigma_w**2 * product_of_means(X, X)),
            Mutant("the square of its mean stands for it", sigma_w**2 * product_of_means(X, X)),
            Mutant("the constant is 2 % too large", mutations.scaled(diagonal_statement())),
        ),
        unstated=(SEQUENTIAL,),
        observed=lambda: (
            Observed(Observable.TERM_VARIANCES, lambda: summand_statement(X, X), lambda: summand_mutants(X, X)),
        ),
        exhibits=shown.diagonal,
        printed=Printed(
            latex=r"\Sigma_{1 1} = \frac{1}{N_{l}}\, \mathrm{Var}\left[\phi(z^{l-1}_{1}(x))\right]",
            correction="1/N_l E[φ²] as eq 30 has it",
            why="with the off-diagonal of eq 29 the printed matrix need not be positive semidefinite",
        ),
    ),
    Claim(
        id="eq29-lead",
        title="The pair whose covariance is sought has weights of layer l, which do not depend on the layer below",
        section="3.4.3",
        equation="29",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=lambda: summand_covariance(X, Y),
        statement=lambda: summand_statement(X, Y),
        mutants=lambda: (_weight_of_the_layer_below(), *summand_mutants(X, Y)[:2]),
        observable=Observable.TERM_MOMENTS,
        exhibits=shown.weight_of_the_layer_below,
        printed=Printed(
            latex=r"\mathrm{Cov}\left[W^{l-1}_{k 1} \phi(z^{l-1}_{1}(x)), W^{l-1}_{k 1} \phi(z^{l-1}_{1}(x'))\right]",
            correction="W^l_{k1} in both",
            why="z^{l-1} depends on W^{l-1}, so the mean of the product does not split",
        ),
    ),
    Claim(
        id="eq29",
        title="Covariance of a term of the sum over the layer below at two inputs, at every width",
        section="3.4.3",
        equation="29",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=lambda: summand_covariance(X, Y),
        statement=lambda: summand_statement(X, Y),
        mutants=lambda: summand_mutants(X, Y),
        observable=Observable.TERM_MOMENTS,
        exhibits=shown.summand,
    ),
    Claim(
        id="sec3.4.3-bias-offdiag",
        title="The variance of the bias is in every entry of the covariance of a unit at two inputs",
        section="3.4.3",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=covariance_of_biases,
        statement=lambda: sigma_b**2 * delta(K, M),
        mutants=lambda: (
            Mutant("σ_b stands for σ_b²", sigma_b * delta(K, M)),
            Mutant("all units share one bias", sigma_b**2 * constant(1)),
        ),
        observable=Observable.BIASES,
        exhibits=shown.bias_in_every_entry,
    ),
    Claim(
        id="eq30",
        title="A unit of layer l at two inputs tends to a normal pair",
        section="3.4.3",
        equation="30",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=limit_law,
        statement=lambda: GaussianProcess(kernel_statement()),
        mutants=limit_mutants,
        unstated=(SEQUENTIAL,),
        observable=Observable.LIMIT_LAW,
        exhibits=shown.frozen_weight,
        rests_on=("nngp.kernel-limit",),
        printed=Printed(
            latex=r"z^{l}_{k}(x) = b_{k} + \sum_{j} W^{l}_{k 1}\, \phi(z^{l-1}_{j}(x))",
            correction="W_kj in place of W_k1, at x and at x'",
            why=_FROZEN_WHY,
        ),
    ),
    Claim(
        id="eq31",
        title="A function is a Gaussian process if its values at every finite set of inputs are jointly normal",
        section="3.4.4",
        equation="31",
        kind=Kind.IDENTITY,
        status=Status.WRONG,
        theorem=None,
        stated=Stated("the definition of a Gaussian process; the printed implication fails by an example"),
        statement=lambda: Formula(
            r"(f(x_{1}), \dots, f(x_{m})) \sim \mathcal{N}(0, K)\; \forall m, x_{1}, \dots, x_{m} "
            r"\iff f \sim \mathcal{GP}(0, K)"
        ),
        mutants=tuple,
        exhibits=shown.pairs_do_not_suffice,
        printed=Printed(
            latex=r"(f(x), f(x')) \sim \mathcal{N}(0, K)\; \forall x, x' \implies f \sim \mathcal{GP}(0, K)",
            correction="every finite set of inputs in place of every pair; the same limit theorem gives it",
            why="three numbers can be normal in pairs and not jointly",
        ),
    ),
    Claim(
        id="eq32",
        title="The kernel of layer l is the limit of the covariance of one unit at two inputs",
        section="3.4.4",
        equation="32",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=one_unit,
        statement=kernel_of_one_unit,
        mutants=lambda: (
            Mutant("the means are subtracted", kernel_of_one_unit() - sigma_w**2 * product_of_means(X, Y)),
            _below_in_itself(),
            Mutant("σ_w and σ_b are swapped", mutations.swapped_sigmas(kernel_of_one_unit())),
            Mutant("the bias is dropped", mutations.without(kernel_of_one_unit(), mutations.is_bias)),
        ),
        unstated=(
            SEQUENTIAL,
            "the pair tends to the normal one in law; at finite width it has another",
            "covariances converge too: given iid units below they are exact at every width",
        ),
        observable=Observable.MEAN_KERNEL,
        exhibits=shown.second_moment_at_finite_width,
    ),
    Claim(
        id="eq33",
        title="A layer tends to a Gaussian process, its units independent",
        section="3.4.4",
        equation="33",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=nngp_recursion,
        statement=limit_process,
        mutants=_process_mutants,
        unstated=(_EVERY, "at finite width a layer above the first is no Gaussian process"),
        observable=Observable.LIMIT_LAW,
        observed=lambda: (Observed(Observable.LIMIT_LAW_AT_FOUR_INPUTS, limit_process, _process_mutants),),
        exhibits=deeper_layer_exhibits.kurtosis,
        rests_on=("eq18", "nngp.kernel-limit"),
    ),
)
