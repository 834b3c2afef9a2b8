"""Sections 1.1 to 1.3: what a Gaussian process is, and its joint law with data, noisy and noiseless (eqs 1-3).

Covariances of the process with itself and with the data are theorems about the model of section 1. The same laws are
held against explicit processes ``f(x) = w . phi(x)`` with standard normal w, whose covariances are matrix products.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Printed, Stated, Status
from derive.lecture import gaussian_process_exhibits as shown
from derive.lecture.conditioning import PRIOR, data, noisy_inverse, posterior_mean, process
from derive.lecture.ensemble_claims import INVERSE, mean_statement
from derive.lecture.stating import stated
from derive.lecture.trained_ensembles import feature_kernel
from derive.moments import covariance
from derive.notation import eigenvalue, noise, same_output
from derive.operators import TEST, TRAINING, Operator, function_of_theta, identity, word
from derive.rules import initialization
from derive.theorem import Theorem, reflexivity


@cache
def covariance_of_data(noisy: bool) -> Theorem:
    """Return the covariance of the targets: the kernel on the training set, and the noise on its diagonal."""
    return reflexivity(covariance(data(noisy), data(noisy)), PRIOR).by(initialization.covariance)


@cache
def covariance_with_data() -> Theorem:
    """Return the covariance of the process at test inputs with its values on the training set."""
    return reflexivity(covariance(word(process(TEST)), data(noisy=False)), PRIOR).by(initialization.covariance)


def _of_data(function: sp.Expr) -> Operator:
    statement: Operator = same_output * function_of_theta(function, eigenvalue)
    return statement


def _with_data(factor: sp.Expr | int = 1) -> Operator:
    statement: Operator = factor * same_output * word(feature_kernel(TEST, TRAINING))
    return statement


CLAIMS = (
    stated(
        "sec1.1-gp-def",
        "A Gaussian process is a family of variables of which all finite subfamilies are jointly Gaussian",
        "1.1",
        r"f \sim \mathrm{GP}(\mu, k) \iff \left(f(x_{i})\right)_{i \le m} \sim \mathrm{N}\left((\mu(x_{i}))_{i}, "
        r"(k(x_{i}, x_{j}))_{i j}\right) \quad \forall m, x_{1}, \dots, x_{m}",
        shown.finite_subfamilies,
        Kind.DEFINITION,
        Stated("a definition", ("of all finite subfamilies: pairs are not enough",)),
    ),
    stated(
        "sec1.1-prior",
        "A centred Gaussian process at finitely many inputs is normal with the Gram matrix of its kernel",
        "1.1",
        r"\left(f(x_{1}), \dots, f(x_{m})\right)^{\top} \sim \mathrm{N}\left(0, (k(x_{i}, x_{j}))_{i j}\right)",
        shown.prior,
        Kind.DEFINITION,
        Stated("a definition", ("the mean function is zero",)),
        Status.ASSUMPTION,
    ),
    stated(
        "sec1.2-noise-model",
        "Targets are values of the process with independent normal noise of one variance",
        "1.2",
        r"y_{i} = f(x_{i}) + \sigma_{\epsilon} \epsilon_{i},\qquad \epsilon_{i} \sim \mathrm{N}(0, 1)",
        shown.noisy_targets,
        Kind.ASSUMPTION,
        Stated("an assumption on how the data came about", ("the noise is independent of the process",)),
        Status.ASSUMPTION,
    ),
    Claim(
        id="sec1.2-joint",
        title="Targets with noise have the covariance of the process, and the noise on the diagonal alone",
        section="1.2",
        equation="",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=lambda: covariance_of_data(noisy=True),
        statement=lambda: _of_data(eigenvalue + noise**2),
        mutants=lambda: (
            Mutant("no noise", _of_data(eigenvalue)),
            Mutant("the noise enters by its standard deviation", _of_data(eigenvalue + noise)),
            Mutant("the noise is subtracted", _of_data(eigenvalue - noise**2)),
        ),
        exhibits=shown.noisy_joint,
        rests_on=("sec1.2-noise-model",),
    ),
    Claim(
        id="sec1.2-predictive",
        title="The law of a new target with noise, given targets with noise",
        section="1.2",
        equation="",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=lambda: posterior_mean(noisy=True),
        statement=lambda: mean_statement(noisy_inverse(), feature_kernel(TEST, TRAINING)),
        mutants=lambda: (
            Mutant("the kernel alone is inverted", mean_statement(INVERSE, feature_kernel(TEST, TRAINING))),
            Mutant("the mean has the wrong sign", -1 * mean_statement(noisy_inverse(), feature_kernel(TEST, TRAINING))),
        ),
        exhibits=shown.noisy_predictive,
        rests_on=("sec1.2-joint", "gp.noisy-mean", "gp.noisy-covariance"),
    ),
    stated(
        "eq1",
        "Without noise the targets are the values of the process",
        "1.3",
        r"y_{i} = f(x_{i})",
        shown.noiseless_targets,
        Kind.ASSUMPTION,
        Stated("an assumption on how the data came about"),
    ),
    Claim(
        id="sec1.3-joint",
        title="Values of the process at other inputs covary with noiseless targets by the kernel",
        section="1.3",
        equation="",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=covariance_with_data,
        statement=_with_data,
        mutants=lambda: (
            Mutant("twice as much", _with_data(2)),
            Mutant("different outputs covary too", _with_data(1 / same_output)),
        ),
        exhibits=shown.noiseless_joint,
        rests_on=("eq1",),
    ),
    Claim(
        id="sec1.3-joint-renamed",
        title="Noiseless targets have the covariance of the process, without noise on the diagonal",
        section="1.3",
        equation="",
        kind=Kind.IDENTITY,
        status=Status.WRONG,
        theorem=lambda: covariance_of_data(noisy=False),
        statement=lambda: _of_data(eigenvalue),
        mutants=lambda: (
            Mutant("noise on the diagonal", _of_data(eigenvalue + noise**2)),
            Mutant("different outputs covary too", function_of_theta(eigenvalue, eigenvalue)),
            Mutant("the identity", same_output * identity(TRAINING)),
        ),
        exhibits=shown.leftover_noise,
        rests_on=("eq1",),
        printed=Printed(
            latex=r"\mathrm{Cov}\left[\mathcal{Y}, \mathcal{Y}\right] = K(\mathcal{X}, \mathcal{X}) + "
            r"\sigma_{\epsilon}^{2} I",
            correction="K(X,X) alone; or keep the noise, but then the targets are noisy and eqs 2 and 3 need "
            "K + σ_ε² I under the inverse",
            why="the section is about y = f(x), and eqs 2 and 3 condition on targets without noise",
        ),
    ),
    stated(
        "sec1.3-no-integration",
        "Without noise the law of the targets is that of the values of the process, with nothing to integrate out",
        "1.3",
        r"p(\mathcal{Y} \mid \mathcal{X}) = p(f(\mathcal{X}))",
        shown.nothing_to_integrate,
        Kind.REMARK,
        Stated("a remark that follows from the meaning of eq 1"),
    ),
    stated(
        "sec0-notation",
        "Symbols have one meaning at a time: the exponential of a matrix is not that of its entries, and so on",
        "all",
        r"e^{M} = \sum_{k} \frac{1}{k!} M^{k}",
        shown.notation,
        Kind.REMARK,
        Stated(
            "a remark on notation",
            (
                "φ is a feature map in section 2 and an activation from section 3 on",
                "n counts data in eqs 5 to 8 and units in section 5.2 and eq 81",
                "θ^l holds all layers up to l in eq 37 and one layer in eq 75",
                "the second argument of N(·,·) is a variance; in eqs 11 and 38 it is printed as a standard deviation",
            ),
        ),
        Status.ASSUMPTION,
    ),
)
