"""High-precision checks: lowered formulas against references in mpmath that share no code with them.

The references integrate the Gaussian density in two dimensions and iterate the layers by such integrals; those of
linear models are in :mod:`verify.checks.linear_models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
from mpmath.calculus.quadrature import GaussLegendre

from derive.claim import Claim, Observable
from derive.duals import ClosedForm, GaussianMean
from derive.duals.examiner import CORRELATIONS, DEVIATIONS, TERMS, inside, reference_mean
from derive.duals.series import HermiteSeries, partial_sum
from derive.terms import Expression, Term
from numeric.accuracy import measured, wide_pairs
from numeric.certified import precise_closed_form
from numeric.kernels import MLP
from numeric.lower_duals import LoweredMean, lowered_dual
from verify.checks.linear_models import NOTE, comparison
from verify.planning import EQUIVALENT, SIGMA_B, SIGMA_W
from verify.record import CheckResult, Digits, Entry, MutantResult
from verify.verdict import Verdict, combine

DIGITS = 20
RESOLUTION = 1e-3
"""Relative deviation that must not pass (chosen: mutants are at 2 % and more; agreement is far below)."""
FLOAT_ALLOWED = 1e-11
"""Relative error allowed to a float64 kernel of two layers at generic inputs: 5e4 units in the last place (chosen)."""
FLOW_ALLOWED = 1e-9
"""Relative error allowed to linear models by a float64 eigendecomposition (chosen)."""

Reference = Callable[[Any], Any]

_ACTIVATIONS: Mapping[str, tuple[Reference, Reference]] = {
    "identity": (lambda t: t, lambda t: mpmath.mpf(1)),
    "relu": (lambda t: t if t > 0 else mpmath.mpf(0), lambda t: mpmath.mpf(1) if t > 0 else mpmath.mpf(0)),
    "erf": (mpmath.erf, lambda t: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-t * t)),
}
"""Reference activations and derivatives, written out for mpmath."""


def precision(claim: Claim) -> CheckResult | None:
    """Return the high-precision check of a claim, or None if nothing of it is a number."""
    with mpmath.workdps(DIGITS):
        match claim.observable:
            case Observable.DUAL:
                return _dual(claim)
            case Observable.FLOW:
                return _linear_model(claim)
        if claim.slot in ("first_kernel", "first_tangent", "kernel", "tangent"):
            return _kernel(claim)
    return None


_RADII = (0, 2.5, 6, 11)
"""Where the radial reference integral is cut; exp(-r^2/2) is 5e-27 at the end."""


def _gaussian_mean(f: Callable[[Any], Any], a: Any, b: Any, c: Any) -> Any:
    """Return E[f(u) f(v)] for variances a, b and covariance c, in polar coordinates cut where u or v vanishes.

    Args:
        f: a function of an mpmath number, smooth off zero, growing at most polynomially.
        a: variance of u, positive.
        b: variance of v, positive.
        c: covariance, with ``ab > c^2``.
    """
    along = c / mpmath.sqrt(a)
    across = mpmath.sqrt(b - along * along)
    root = mpmath.sqrt(a)
    kink = mpmath.atan2(along, -across) % mpmath.pi
    cuts = sorted([mpmath.pi / 2, kink, mpmath.pi / 2 + mpmath.pi, kink + mpmath.pi])

    radial = [(r, weight * r * mpmath.exp(-r * r / 2)) for r, weight in _nodes(_RADII)]
    terms = []
    for angle, weight in _nodes((*cuts, cuts[0] + 2 * mpmath.pi)):
        x, y = root * mpmath.cos(angle), along * mpmath.cos(angle) + across * mpmath.sin(angle)
        terms.append(weight * mpmath.fsum(density * f(r * x) * f(r * y) for r, density in radial))
    return mpmath.fsum(terms) / (2 * mpmath.pi)


_LEGENDRE = GaussLegendre(mpmath.mp)
_DEGREE = 4
"""Of mpmath's rules, the one of 24 nodes between two cuts; chosen: 48 change nothing above 1e-19."""


def _nodes(edges: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Return nodes and weights of Gauss and Legendre between each two neighbours."""
    return [node for a, b in pairwise(edges) for node in _LEGENDRE.get_nodes(a, b, _DEGREE, mpmath.mp.prec)]


def _second_moment(f: Callable[[Any], Any], a: Any) -> Any:
    """Return E[f(u)^2] for a variance a, on both half-lines."""
    root = mpmath.sqrt(a)

    def at(t: Any) -> Any:
        return f(root * t) ** 2 * mpmath.exp(-t * t / 2)

    return mpmath.quad(at, [-13, -5, 0, 5, 13]) / mpmath.sqrt(2 * mpmath.pi)


ABSOLUTE_ALLOWED, _WIDE = 1e-14, 12
"""Error allowed to a dual in float64 at any pair, relative to the second moments (promised), and how many are tried."""
_DUAL_ALLOWED, _DUAL_RESOLUTION = 1e-13, 1e-8
"""Relative error allowed to a dual in float64 at generic pairs, 450 units in the last place, and the deviation that
must not pass (chosen: some mutants differ in the far tail only)."""


def _dual(claim: Claim) -> CheckResult:
    """Hold the float64 function that kernels use, and mutants of the formula, against certified integrals."""
    theorem = claim.proven()
    term = theorem.lhs
    if not isinstance(term, GaussianMean):
        raise TypeError(f"the claim {claim.id} is not about a dual")
    order, activation = term.order, term.activation
    lowered = lowered_dual(activation).derivative if order else lowered_dual(activation).value
    first, second = DEVIATIONS
    pairs = [(first**2, second**2, rho * first * second) for rho in CORRELATIONS]
    if isinstance(theorem.rhs, ClosedForm):
        pairs = [inside(pair, theorem.rhs) for pair in pairs]

    def value(form: Term) -> list[Any]:
        if form.key == theorem.rhs.key:  # the statement itself: what is lowered from it
            exact = [tuple(map(float, (a, b, c, a * b - c * c))) for a, b, c in pairs]
            return [mpmath.mpf(float(lowered(*pair))) for pair in exact]
        if isinstance(form, ClosedForm):
            function = precise_closed_form(form.expression)
            points = [tuple(mpmath.mpf(int(v.p)) / int(v.q) for v in pair) for pair in pairs]
            return [_real(function, (a, b, c, a * b - c * c)) for a, b, c in points]
        assert isinstance(form, HermiteSeries)  # the other right side of a dual
        return [mpmath.mpf(float(partial_sum(form, first, second, rho, TERMS).mid())) for rho in CORRELATIONS]

    expected = [mpmath.mpf(reference_mean(activation, order, pair).str(DIGITS, radius=False)) for pair in pairs]
    labels = tuple(f"a = {a}, b = {b}, c = {c}" for a, b, c in pairs)
    note = f"float64 by {lowered.route} against two-dimensional integrals in ball arithmetic"
    result = _compared(
        claim, value, expected, [_scale(e) for e in expected], labels, _DUAL_ALLOWED, note, _DUAL_RESOLUTION
    )
    if isinstance(theorem.rhs, ClosedForm):
        return _with_accuracy(result, lowered, theorem.rhs)
    return replace(result, digits=Digits(lowered.route, 0, lowered.error, None))


def _with_accuracy(result: CheckResult, lowered: LoweredMean, form: ClosedForm) -> CheckResult:
    """Return a result with the error of the float64 function over pairs of all sizes and nearly all angles."""
    accuracy = measured(lowered, form, wide_pairs(_WIDE))
    label = (
        f"worst of {accuracy.pairs} pairs with variances from 0.001 to 1000 and 1 - |rho| from 1 to 1e-16, "
        "relative to sqrt(k(a,a) k(b,b))"
    )
    verdict = Verdict.CONFIRMED if accuracy.absolute <= ABSOLUTE_ALLOWED else Verdict.REFUTED
    entry = Entry(label, 0.0, accuracy.absolute, (accuracy.absolute,) * 2, verdict)
    return replace(
        result,
        entries=(*result.entries, entry),
        verdict=combine([result.verdict, verdict]),
        digits=Digits(lowered.route, accuracy.pairs, accuracy.absolute, accuracy.ulps),
    )


def _real(function: Callable[..., Any], point: tuple[Any, ...]) -> Any:
    """Return the value of a formula, infinity where it has no real one: a mutant may take roots of negative numbers."""
    try:
        value = function(*point)
    except TypeError:  # comparisons of complex numbers
        return mpmath.inf
    return value if mpmath.im(value) == 0 else mpmath.inf


def _scale(value: Any) -> Any:
    return abs(value) or mpmath.mpf(1)


_INPUTS = (("0.6", "-0.8", "1.1"), ("1.3", "0.4", "-0.5"))
"""Two inputs of unequal norms."""


def _kernel(claim: Claim) -> CheckResult:
    inherited = claim.observable is Observable.INHERITED_TANGENT_KERNEL  # a part, which no deeper layer iterates
    hidden_layers = 0 if claim.slot.startswith("first") else 1 if inherited else 2
    tangent = "tangent" in claim.slot
    names = ("identity",) if hidden_layers == 0 else ("relu", "erf")
    expected, scales, labels = [], [], []
    for name in names:
        kernel, ntk = _reference_kernels(name, hidden_layers)
        chosen = ntk - kernel if inherited else ntk if tangent else kernel
        for i, j in ((0, 0), (1, 0), (1, 1)):
            expected.append(chosen[i, j])
            scales.append(mpmath.sqrt(chosen[i, i] * chosen[j, j]))
            labels.append(f"{name}, inputs {j + 1} and {i + 1}")

    def value(statement: Term) -> list[Any]:
        from_statement = []
        for name in names:
            assert isinstance(statement, Expression)  # statements on kernels are expressions
            net = MLP(name, hidden_layers, SIGMA_W, SIGMA_B).with_recursion(**{claim.slot: statement})
            computed = net.kernels(np.array(_INPUTS, dtype=float))[int(tangent)]
            from_statement += [mpmath.mpf(float(computed[i, j])) for i, j in ((0, 0), (1, 0), (1, 1))]
        return from_statement

    depth = f"{hidden_layers} hidden layer" + ("" if hidden_layers == 1 else "s")
    note = f"{depth} iterated with two-dimensional integrals in {DIGITS}-digit arithmetic"
    return _compared(claim, value, expected, scales, tuple(labels), FLOAT_ALLOWED, note)


@cache
def _reference_kernels(name: str, hidden_layers: int) -> tuple[Any, Any]:
    """Return NNGP and tangent kernel of two inputs, layer by layer, as 2 x 2 matrices of mpmath numbers."""
    w, b = mpmath.mpf(str(SIGMA_W)) ** 2, mpmath.mpf(str(SIGMA_B)) ** 2
    if hidden_layers == 0:
        x = [[mpmath.mpf(v) for v in row] for row in _INPUTS]
        first = mpmath.matrix(2, 2)
        for i in range(2):
            for j in range(2):
                first[i, j] = b + w * mpmath.fsum(p * q for p, q in zip(x[i], x[j], strict=True)) / len(x[0])
        return first, first
    phi, dphi = _ACTIVATIONS[name]
    kernel, below = _reference_kernels(name, hidden_layers - 1)
    new, slope, tangent = mpmath.matrix(2, 2), mpmath.matrix(2, 2), mpmath.matrix(2, 2)
    for i in range(2):
        new[i, i] = b + w * _second_moment(phi, kernel[i, i])
        slope[i, i] = w * _second_moment(dphi, kernel[i, i])
    pair = kernel[0, 0], kernel[1, 1], kernel[0, 1]
    new[0, 1] = new[1, 0] = b + w * _gaussian_mean(phi, *pair)
    slope[0, 1] = slope[1, 0] = w * _gaussian_mean(dphi, *pair)
    for i in range(2):
        for j in range(2):
            tangent[i, j] = new[i, j] + slope[i, j] * below[i, j]
    return new, tangent


def _linear_model(claim: Claim) -> CheckResult:
    held = comparison(claim)
    scale = max(abs(e) for e in held.expected)
    scales = [scale] * len(held.expected)
    return _compared(claim, held.value, held.expected, scales, held.labels, FLOW_ALLOWED, NOTE)


def _compared(
    claim: Claim,
    value: Callable[[Term], list[Any]],
    expected: list[Any],
    scales: list[Any],
    labels: tuple[str, ...],
    allowed: float,
    note: str,
    resolution: float = RESOLUTION,
) -> CheckResult:
    def discrepancies(statement: Term) -> list[float]:
        pairs = zip(value(statement), expected, scales, strict=True)
        return [float((mine - theirs) / scale) for mine, theirs, scale in pairs]

    found = discrepancies(claim.statement())
    entries = tuple(
        Entry(label, float(target), d, (d, d), _verdict(abs(d), allowed, resolution))
        for label, target, d in zip(labels, expected, found, strict=True)
    )
    mutants = []
    for mutant in claim.mutants():
        largest = max(abs(d) for d in discrepancies(mutant.statement))
        same = largest <= EQUIVALENT
        reason = "the same for one unit, which is all this check sees" if same else f"off by {largest:.2g} of the value"
        mutants.append(MutantResult(mutant.name, largest > resolution, largest, equivalent=same, reason=reason))
    worst = max(found, key=abs)
    verdict = combine(entry.verdict for entry in entries)
    if verdict is Verdict.CONFIRMED and any(not (m.killed or m.equivalent) for m in mutants):
        verdict = Verdict.INCONCLUSIVE
    return CheckResult(
        name="high precision",
        kind="precision",
        verdict=verdict,
        estimate=worst,
        interval=(min(found), max(found)),
        allowed=allowed,
        resolution=resolution,
        alpha=0.0,
        samples=0,
        unit="relative to the value",
        note=note,
        mutants=tuple(mutants),
        entries=entries,
    )


def _verdict(discrepancy: float, allowed: float, resolution: float) -> Verdict:
    if discrepancy <= allowed:
        return Verdict.CONFIRMED
    return Verdict.REFUTED if discrepancy > resolution else Verdict.INCONCLUSIVE
