"""Beyond the lecture: outputs of finite networks are uncorrelated and yet dependent, and mixtures of normals.

Given the units below, outputs are independent and normal with the empirical NNGP kernel as covariance, which
:mod:`derive.lecture.nngp` derives; here its law is put to use. No rule knows functions of a random kernel other than
polynomials, so the step from there is cited.
"""

from __future__ import annotations

import sympy as sp

from derive.claim import Cited, Claim, Kind, Mutant, Observable
from derive.laws import Quantity
from derive.lecture.deep_networks import N

_SOURCE = (
    "outputs are normal given the layer below (Matthews et al. 2018, arXiv:1804.11271), whose law at finite width is "
    "that of a mean of iid terms; Zavatone-Veth and Pehlevan 2021 (arXiv:2104.11734) have densities for relu"
)


def _kernel(x: str) -> str:
    return rf"\hat{{K}}^{{2}}({x}, {x})"


def _cosine_covariance(factor: sp.Expr = sp.S.One, at_width: sp.Expr | None = None) -> Quantity:
    first, second = (rf"e^{{-\omega({x})^{{2}} {_kernel(x)} / 2}}" for x in ("x", "x'"))
    symbol = rf"\mathrm{{Cov}}\left[{first}, {second}\right]"
    return Quantity("cosine_covariance", symbol, factor, at_width=at_width)


def _distribution(factor: sp.Expr = sp.S.One, at_width: sp.Expr | None = None) -> Quantity:
    """Return the distribution function of an output times a factor."""
    symbol = rf"\mathbb{{E}}\left[\Phi\left(q / \sqrt{{{_kernel('x')}}}\right)\right]"
    return Quantity("distribution", symbol, factor, at_width=at_width)


CLAIMS = (
    Claim(
        id="finite-width.output-dependence",
        title="Outputs are uncorrelated but their cosines are not, at every width; their covariance vanishes as 1/N",
        kind=Kind.FINITE_WIDTH,
        theorem=None,
        cited=Cited(
            r"\mathrm{Cov}\left[\cos(\omega(x) z^{2}_{k}(x)), \cos(\omega(x') z^{2}_{k'}(x'))\right]",
            "=",
            _SOURCE,
            ("one hidden layer", "k ≠ k'", "ω(x) = K²(x, x)^(-1/2)"),
        ),
        statement=_cosine_covariance,
        mutants=lambda: (
            Mutant("outputs are independent", _cosine_covariance(at_width=sp.oo)),
            Mutant("the constant is 20 % too large", _cosine_covariance(sp.Rational(6, 5))),
            Mutant("it is half of that", _cosine_covariance(sp.Rational(1, 2))),
            Mutant("it has the other sign", _cosine_covariance(sp.Integer(-1))),
            Mutant("there is one unit more", _cosine_covariance(at_width=N + 1)),
            Mutant("the dependence falls like N⁻²", _cosine_covariance(at_width=N**2)),
        ),
        observable=Observable.OUTPUT_DEPENDENCE,
        rests_on=("nngp.unit-covariance",),
        slot="cosine_covariance",
    ),
    Claim(
        id="finite-width.output-law",
        title="Distribution function of an output, exact at every width; its distance from the normal vanishes as 1/N",
        kind=Kind.FINITE_WIDTH,
        theorem=None,
        cited=Cited(r"\mathbb{P}\left[z^{2}_{k}(x) \le q\right]", "=", _SOURCE, ("one hidden layer",)),
        statement=_distribution,
        mutants=lambda: (
            Mutant("outputs are normal, as in the limit", _distribution(at_width=sp.oo)),
            Mutant("the variance is 10 % too large", _distribution(sp.sqrt(sp.Rational(11, 10)))),
            Mutant("the distance falls like N⁻²", _distribution(at_width=N**2)),
        ),
        observable=Observable.OUTPUT_LAW,
        rests_on=("nngp.unit-covariance",),
        slot="distribution",
    ),
)
