"""Section 5.3: how lazily real networks of finite width train (eq 81), and what ensembles of them predict.

The lecture cites (81) without proof, and so do the claims here: an upper bound of order N^-1/2. What truly happens with
centred independent output weights is smaller, of order 1/N, since the change of the kernel is a sum of N terms of mean
zero. Each order depends on the parameterization, which every claim names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from derive.claim import Cited, Claim, Kind, Mutant, Observable, Status
from derive.laws import Order
from derive.lecture.ensemble_claims import (
    covariance_statement,
    flow,
    mean_statement,
    trained_covariance_mutants,
    trained_mean_mutants,
)
from derive.operators import Operator
from derive.terms import constant

_LEE = "Lee et al. 2019 (arXiv:1902.06720), theorem 2.1"
_LAZY = (
    "Dyer and Gur-Ari 2020 (arXiv:1909.11304), by power counting; Huang and Yau 2020 (arXiv:1909.08156) for the "
    "hierarchy of kernels"
)
_NTK = "NTK parameterization"
_STANDARD = "standard parameterization, one learning rate σ_w²/2N for all parameters"
_CENTRED = "output weights are centred and independent"
_LIMIT = (
    "all hidden widths are N and tend to infinity together",
    "the data and the time do not depend on N",
    "φ' is bounded and Lipschitz",
)
_HYPOTHESES = (
    *_LIMIT,
    "with probability near 1 over the initialization",
    "the smallest eigenvalue of Θ on the training set is positive",
    "gradient flow, or gradient descent with η < 2/(λ_min + λ_max)",
)
_HALF = sp.Rational(1, 2)
_STANDS, _TIGHT = "it does not shrink", "eq 81 is taken as tight: N^-1/2"

DEPARTURE, DISPLACEMENT, KERNEL_CHANGE = "departure", "displacement", "kernel change"
RELATIVE_DISPLACEMENT, PATHWISE = "displacement over the root of the width", "path-wise"
RAW_KERNEL_CHANGE = "raw kernel change"
"""What networks show of how lazily they train."""


def _sup(of: str, norm: str = "2") -> str:
    return rf"\sup_{{t}}\,\left| {of} \right|_{{{norm}}}"


_LEFT: Mapping[str, str] = {
    DEPARTURE: _sup(r"f_{t}(x) - f_{t}^{\mathrm{lin}}(x)"),
    DISPLACEMENT: _sup(r"\theta_{t} - \theta_{0}"),
    RELATIVE_DISPLACEMENT: r"\frac{1}{\sqrt{N}}\," + _sup(r"\theta_{t} - \theta_{0}"),
    KERNEL_CHANGE: _sup(r"\hat{\Theta}_{t} - \hat{\Theta}_{0}", "F"),
    RAW_KERNEL_CHANGE: _sup(r"J_{t} J_{t}^{\top} - J_{0} J_{0}^{\top}", "F"),
    PATHWISE: r"\left|\delta - \left(f - f^{\mathrm{lin}}\right)\right|_{2}",
}


def _bound(key: str, title: str, of: str, wrong: Mapping[str, sp.Expr]) -> Claim:
    """Return what eq 81 licenses about one quantity: an upper bound."""
    return Claim(
        id=key,
        title=title,
        kind=Kind.RATE,
        section="5.3",
        equation="81",
        status=Status.ASSUMPTION,
        theorem=None,
        cited=Cited(_LEFT[of], "=", _LEE, (_NTK, *_HYPOTHESES)),
        statement=lambda: Order(of, -_HALF, tight=False),
        mutants=lambda: tuple(Mutant(name, Order(of, power, tight=False)) for name, power in wrong.items()),
        observable=Observable.LAZINESS,
        slot=of,
    )


def _rate(
    key: str,
    title: str,
    of: str,
    power: sp.Expr,
    wrong: Mapping[str, sp.Expr],
    parameterization: str = _NTK,
    rests_on: tuple[str, ...] = (),
) -> Claim:
    """Return what truly happens to one quantity."""
    return Claim(
        id=key,
        title=title,
        kind=Kind.RATE,
        theorem=None,
        cited=Cited(_LEFT[of], "=", _LAZY, (parameterization, *_LIMIT, _CENTRED)),
        statement=lambda: Order(of, power, tight=True),
        mutants=lambda: tuple(Mutant(name, Order(of, other, tight=True)) for name, other in wrong.items()),
        observable=Observable.LAZINESS if parameterization == _NTK else Observable.STANDARD_LAZINESS,
        rests_on=rests_on,
        slot=of,
    )


def _ensemble(
    key: str,
    title: str,
    left: str,
    statement: Callable[[], Operator],
    mutants: Callable[[], tuple[Mutant, ...]],
    observable: Observable,
    basis: str,
) -> Claim:
    """Return what infinitely wide networks predict of networks that are trained."""
    return Claim(
        id=key,
        title=title,
        kind=Kind.LIMIT,
        theorem=None,
        cited=Cited(left, "→", _LEE, (_NTK, *_LIMIT, "gradient flow")),
        statement=statement,
        mutants=mutants,
        observable=observable,
        rests_on=(basis, "eq81-f"),
    )


CLAIMS = (
    _bound(
        "eq81-f",
        "While they train, wide networks stay within N^-1/2 of their linearizations",
        DEPARTURE,
        {"it is bounded by N^-3/2": -3 * _HALF, "it is bounded by N^-2": sp.Integer(-2)},
    ),
    _bound(
        "eq81-theta",
        "The parameters of wide networks move by at most order N^-1/2 relative to the root of the width",
        RELATIVE_DISPLACEMENT,
        {"it is divided by N, not by its root": sp.Integer(-1), "it is bounded by N^-3/2": -3 * _HALF},
    ),
    _bound(
        "eq81-Theta",
        "While they train, the tangent kernels of wide networks change by at most order N^-1/2",
        KERNEL_CHANGE,
        {"it is bounded by N^-3/2": -3 * _HALF, "it is bounded by N^-2": sp.Integer(-2)},
    ),
    _rate(
        "lazy.outputs",
        "The departure of a network from its linearization is of order 1/N",
        DEPARTURE,
        sp.Integer(-1),
        {_STANDS: sp.S.Zero, _TIGHT: -_HALF, "it shrinks like N^-3/2": -3 * _HALF},
        rests_on=("eq81-f",),
    ),
    _rate(
        "lazy.kernel",
        "The change of the tangent kernel is of order 1/N",
        KERNEL_CHANGE,
        sp.Integer(-1),
        {_STANDS: sp.S.Zero, _TIGHT: -_HALF, "it shrinks like N^-3/2": -3 * _HALF},
        rests_on=("eq81-Theta",),
    ),
    _rate(
        "lazy.parameters",
        "The displacement of all parameters together is of order 1: eq 81 is tight for it",
        DISPLACEMENT,
        sp.S.Zero,
        {"eq 81 without the root of the width": -_HALF, "it shrinks like 1/N": sp.Integer(-1)},
        rests_on=("eq81-theta",),
    ),
    _rate(
        "lazy.pathwise",
        "Third and fourth kernels at the start predict the departure δ of each network up to order N^-2",
        PATHWISE,
        sp.Integer(-2),
        {"the prediction misses something of leading order": sp.Integer(-1), _STANDS: sp.S.Zero},
        rests_on=("lazy.outputs",),
    ),
    Claim(
        id="lazy.pathwise-ratio",
        title="What they predict of the departure is the whole of it, as the width grows",
        kind=Kind.LIMIT,
        theorem=None,
        cited=Cited(
            r"\frac{\delta \cdot \left(f - f^{\mathrm{lin}}\right)}{\left|f - f^{\mathrm{lin}}\right|_{2}^{2}}",
            "→",
            _LAZY,
            (_NTK, *_LIMIT, _CENTRED),
        ),
        statement=lambda: constant(1),
        mutants=lambda: (
            Mutant("half of it happens", constant(2)),
            Mutant("twice as much happens", constant(_HALF)),
            Mutant("the opposite happens", constant(-1)),
        ),
        observable=Observable.PATHWISE_RATIO,
        rests_on=("lazy.pathwise",),
    ),
    _rate(
        "lazy.standard-outputs",
        "In standard parameterization the departure from the linearization is of order 1/N",
        DEPARTURE,
        sp.Integer(-1),
        {_STANDS: sp.S.Zero, _TIGHT: -_HALF, "it shrinks like N^-3/2": -3 * _HALF},
        _STANDARD,
    ),
    _rate(
        "lazy.standard-parameters",
        "In standard parameterization the displacement itself is of order N^-1/2, and divided by √N of order 1/N",
        DISPLACEMENT,
        -_HALF,
        {_STANDS: sp.S.Zero, "it shrinks like 1/N": sp.Integer(-1)},
        _STANDARD,
    ),
    _rate(
        "lazy.standard-kernel",
        "In standard parameterization the kernel J Jᵀ itself changes by order 1: eq 81 needs J Jᵀ/N",
        RAW_KERNEL_CHANGE,
        sp.S.Zero,
        {"eq 81 holds for it": -_HALF, "it shrinks like 1/N": sp.Integer(-1), "it grows like √N": _HALF},
        _STANDARD,
    ),
    _ensemble(
        "training.mean",
        "Networks that are really trained have the mean of their infinitely wide linearization, at any finite time",
        r"\mathbb{E}\left[f_{t}(x)\right]",
        lambda: mean_statement(flow()),
        trained_mean_mutants,
        Observable.TRAINED_MEAN,
        "sec5.2-mean",
    ),
    _ensemble(
        "training.covariance",
        "Networks that are really trained have the covariance of their infinitely wide linearization",
        r"\mathrm{Cov}\left[f_{t}(x), f_{t}(x')\right]",
        lambda: covariance_statement(flow()),
        trained_covariance_mutants,
        Observable.TRAINED_COVARIANCE,
        "sec5.2-var",
    ),
)
