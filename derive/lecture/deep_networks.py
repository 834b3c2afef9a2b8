"""Beyond the lecture: the laws of the empirical kernels of deep networks at finite width, cited from their sources.

They are computed from recursions that no rule here derives. Some are exact at every width, for one input; the others
are coefficients of 1/N, the first order of an expansion in the widths.
"""

from __future__ import annotations

import sympy as sp

from derive.claim import Cited, Claim, Kind, Mutant, Observable
from derive.laws import Quantity

N = sp.Symbol("N", positive=True)
"""The width of all hidden layers."""

_CHAIN = "Hanin and Nica 2020 (arXiv:1909.05989) for relu up to constants; a Markov chain over the layers"
_EXPANSION = (
    "Yaida 2019 (arXiv:1910.00019); Roberts, Yaida and Hanin 2021 (arXiv:2106.10165), chapters 4 and 8; "
    "Guillen, Misof and Gerken 2025 (arXiv:2508.11522) for the bias"
)
_K, _T, _C = (
    rf"\hat{{{letter}}}^{{L+1}}{indices}"
    for letter, indices in (("K", ""), (r"\Theta", "_{kk}"), (r"\Theta", "_{kk'}"))
)


def _mutants(quantity: Quantity, percent: int, *others: Mutant) -> tuple[Mutant, ...]:
    def times(factor: sp.Expr) -> Quantity:
        return Quantity(quantity.name, quantity.symbol, factor)

    return (
        Mutant(f"the constant is {percent} % too large", times(1 + sp.Rational(percent, 100))),
        Mutant("it is half of that", times(sp.Rational(1, 2))),
        Mutant("it has the other sign", times(sp.Integer(-1))),
        *others,
    )


def _one_input(name: str, symbol: str, left: str, title: str, percent: int) -> Claim:
    """Return the claim on a law at one input that is exact at every width."""
    quantity = Quantity(name, rf"{symbol}(x; N_{{2}}, \dots, N_{{L+1}})")
    return Claim(
        id=f"finite-width.one-input-{name.replace('_', '-')}",
        title=f"{title} of deep networks at one input, exact at every width",
        kind=Kind.FINITE_WIDTH,
        theorem=None,
        cited=Cited(left, "=", _CHAIN, ("relu and other positively homogeneous activations, or bounded ones",)),
        statement=lambda: quantity,
        mutants=lambda: _mutants(quantity, percent),
        observable=Observable.ONE_INPUT_LAW,
        slot=name,
    )


def _coefficient(name: str, symbol: str, left: str, title: str, percent: int) -> Claim:
    """Return the claim on the coefficient of 1/N of a mean, variance or covariance of empirical kernels."""
    quantity = Quantity(name, rf"{symbol}(x, x')")
    last = Mutant("only the last hidden layer is finite", Quantity(name, quantity.symbol, last_layer_only=True))
    return Claim(
        id=f"finite-width.order-{name.replace('_', '-')}",
        title=f"{title} of deep networks, to leading order in 1/N",
        kind=Kind.LEADING_ORDER,
        theorem=None,
        cited=Cited(left, "→", _EXPANSION, ("all hidden widths are N and tend to infinity together",)),
        statement=lambda: quantity,
        mutants=lambda: _mutants(quantity, percent, last),
        observable=Observable.COEFFICIENT,
        slot=name,
    )


def _variance(of: str) -> str:
    return rf"\mathrm{{Var}}\left[{of}\right]"


def _mean(of: str) -> str:
    return rf"\mathbb{{E}}\left[{of}\right]"


CLAIMS = (
    _one_input("nngp_mean", r"\mu_{K}", _mean(_K), "Mean of the empirical NNGP kernel", 2),
    _one_input("nngp_variance", r"V_{K}", _variance(_K), "Variance of the empirical NNGP kernel", 10),
    _one_input("tangent_mean", r"\mu_{\Theta}", _mean(_T), "Mean of the empirical tangent kernel", 2),
    _one_input("tangent_variance", r"V_{\Theta}", _variance(_T), "Variance of the empirical tangent kernel", 10),
    _one_input(
        "cross_variance", r"V_{\Theta_{kk'}}", _variance(_C), "Variance of the tangent kernel between outputs", 10
    ),
    _coefficient("nngp_variance", r"C_{K}", rf"N\,{_variance(_K)}", "Variance of the empirical NNGP kernel", 25),
    _coefficient(
        "tangent_variance", r"C_{\Theta}", rf"N\,{_variance(_T)}", "Variance of the empirical tangent kernel", 25
    ),
    _coefficient(
        "cross_variance",
        r"C_{\Theta_{kk'}}",
        rf"N\,{_variance(_C)}",
        "Variance of the tangent kernel between outputs",
        25,
    ),
    _coefficient(
        "nngp_bias", r"b_{K}", rf"N\left({_mean(_K)} - K^{{L+1}}\right)", "Bias of the empirical NNGP kernel", 50
    ),
)
