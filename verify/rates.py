"""Convergence along widths: how fast fluctuations and bias of the empirical kernels fall, beside what is predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim, Observable
from derive.lecture.moments import moments_of
from derive.lecture.tangent_steps import inherited
from numeric.finite_width import law, layer_two
from numeric.output_laws import cosine_covariance, cosine_means, excess_of_cdf
from verify.deep_plans import FIXED, coefficients, deep_ensemble, half_fixed
from verify.ensembles import INHERITED, MEAN_COSINES, NORMAL_EXCESS, PROJECTED_BIAS, Ensemble, Statistic, error_name
from verify.inputs import Inputs
from verify.output_plans import PEAK, scales_of_outputs
from verify.planning import (
    ACTIVATIONS,
    DEEP_WIDTHS,
    RATE,
    Part,
    Plan,
    PlannedMutant,
    expression,
    network,
    one_hidden,
    scale_of,
)

FloatArray = NDArray[np.float64]

ALLOWED, RESOLUTION = 0.05, 0.25
"""Error of an exponent of the fitted model that is allowed (chosen), and half the distance of the nearest wrong one."""
WIDER, FACTOR = 256, 4
"""The first width beyond those of every run, and the ratio of the next ones; chosen: 2^20 is among them."""
EXACT, LEADING = "exact prediction", "prediction to leading order in 1/N"


def widths_up_to(widest: int) -> tuple[int, ...]:
    """Return the widths of a study: those of every run, and wider ones up to a width."""
    widths, width = list(DEEP_WIDTHS), WIDER
    while width <= widest:
        widths.append(width)
        width *= FACTOR
    return tuple(widths)


@dataclass(frozen=True, slots=True)
class _Study:
    """What is followed along widths: of which kernel or what of outputs, in networks of which depth."""

    kernel: str
    hidden_layers: int = 1


_BY_OBSERVABLE: Mapping[Observable, _Study] = {
    Observable.KERNEL_VARIANCE: _Study("nngp"),
    Observable.TANGENT_VARIANCE: _Study("ntk"),
    Observable.OUTPUT_DEPENDENCE: _Study("cosines"),
    Observable.OUTPUT_LAW: _Study("distance"),
    Observable.DEEP_KERNEL: _Study("nngp", 2),
    Observable.DEEP_TANGENT_KERNEL: _Study("ntk", 2),
    Observable.INHERITED_RATE: _Study(INHERITED),
    Observable.CROSS_RATE: _Study("ntk between outputs"),
    Observable.REVERSED_LIMITS: _Study("first width fixed", 2),
}
_BY_COEFFICIENT: Mapping[str, _Study] = {
    "cross_variance": _Study("ntk between outputs", 2),
    "nngp_bias": _Study("bias", 2),
}


@dataclass(frozen=True, slots=True)
class _Followed:
    """What is fitted along widths, with its exponent, the statistics whose means it is, and what is predicted."""

    what: str
    rate: float
    statistics: tuple[Statistic, ...]
    predicted: tuple[float, ...]
    note: str = ""


def rates_for(claim: Claim, inputs: Inputs, widths: tuple[int, ...]) -> tuple[Plan, ...]:
    """Return the plans for the exponent of an error along widths, with its predicted size; none if there is none."""
    if claim.observable is None:
        return ()
    coefficient = claim.observable is Observable.COEFFICIENT
    study = _BY_COEFFICIENT.get(claim.slot) if coefficient else _BY_OBSERVABLE.get(claim.observable)
    return tuple(_plan(claim, study, activation, inputs, widths) for activation in ACTIVATIONS) if study else ()


def _plan(claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]) -> Plan:
    followed = _FOLLOWED.get(study.kernel, _fluctuation)(claim, study, activation, inputs, widths)
    what, rate = followed.what, followed.rate
    ensemble: Callable[[str, int], Ensemble] = one_hidden if study.hidden_layers == 1 else deep_ensemble
    depth = "one hidden layer" if study.hidden_layers == 1 else "two hidden layers"
    if study.kernel == "first width fixed":
        ensemble, depth = half_fixed, f"{depth}, the first of width {FIXED}"
    wrong = {
        "it does not shrink" if other == 0 else f"it shrinks like N^{other:g}": other
        for other in (0.0, -1.0, RATE)
        if other != rate
    }
    return Plan(
        claim.id,
        f"rate of the {what}, {depth}, {activation}",
        "convergence",
        tuple(
            Part(1.0, ensemble(activation, width), statistic)
            for width, statistic in zip(widths, followed.statistics, strict=True)
        ),
        (f"exponent of the {what}",),
        tuple(PlannedMutant(name, np.array([other - rate])) for name, other in wrong.items()),
        ALLOWED,
        RESOLUTION,
        f"difference from the exponent {rate:g}",
        f"model-based: {what} fitted by a + p log N + c/N" + followed.note,
        rate,
        followed.predicted,
        EXACT if study.hidden_layers == 1 else LEADING,
        power=1.0 if rate == -1.0 else 2.0,
    )


def _statistic(name: str, centre: FloatArray) -> Statistic:
    return Statistic(name, centre, np.ones(1), np.ones(1))


def _fluctuation(claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]) -> _Followed:
    """Return the root mean square error of a kernel, relative to its scale."""
    net = network(activation, study.hidden_layers)
    stated = {claim.slot: expression(claim.statement())} if claim.slot in ("kernel", "tangent") else {}
    nngp, ntk = (np.asarray(kernel) for kernel in net.with_recursion(**stated).kernels(inputs.x))
    kernels = {"nngp": nngp, "ntk": ntk, INHERITED: ntk - nngp}
    scale = scale_of(kernels.get(study.kernel, ntk), inputs)
    centre = kernels.get(study.kernel, np.zeros_like(ntk))[inputs.pairs]
    size = float(np.sqrt(np.mean(_variances(study, activation, inputs)[inputs.pairs] / scale**2)))
    statistic = _statistic(error_name(study.kernel), np.stack([centre, scale]))
    predicted = tuple(size * float(width) ** RATE for width in widths)
    return _Followed("root mean square error", RATE, (statistic,) * len(widths), predicted)


def _bias(claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]) -> _Followed:
    """Return the projection on the predicted bias, which keeps its sign and averages over pairs."""
    net = network(activation, study.hidden_layers)
    scale = scale_of(net.nngp(inputs.x), inputs)
    relative = coefficients(net, inputs).nngp_bias[inputs.pairs] / scale
    size = float(np.sqrt(np.mean(relative**2)))
    statistic = _statistic(PROJECTED_BIAS, relative / scale * size / np.sum(relative**2))
    return _Followed("bias", -1.0, (statistic,) * len(widths), tuple(size / width for width in widths))


def _dependence(claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]) -> _Followed:
    """Return the covariance of cosines of two outputs at one input, averaged over inputs and weights of the outputs."""
    net = network(activation, 1)
    frequencies = 1 / scales_of_outputs(net, inputs)
    means = (cosine_means(net, inputs.x, width, frequencies) for width in widths)
    statistics = tuple(_statistic(MEAN_COSINES, np.stack([frequencies, mean])) for mean in means)
    predicted = (cosine_covariance(net, inputs.x, width, frequencies) for width in widths)
    return _Followed(
        "covariance of cosines", -1.0, statistics, tuple(float(np.mean(np.diag(p))) for p in predicted), _AVERAGED
    )


def _distance(claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]) -> _Followed:
    """Return the excess of the distribution function where it is largest at large width, averaged in the same way."""
    net = network(activation, 1)
    scales = scales_of_outputs(net, inputs)
    statistic = _statistic(NORMAL_EXCESS, np.stack([scales**2, np.full_like(scales, PEAK)]))
    predicted = (excess_of_cdf(net, inputs.x, width, PEAK * scales[:, None]) for width in widths)
    return _Followed(
        "distance from the normal law",
        -1.0,
        (statistic,) * len(widths),
        tuple(float(p.mean()) for p in predicted),
        _AVERAGED,
    )


def _first_width_fixed(
    claim: Claim, study: _Study, activation: str, inputs: Inputs, widths: tuple[int, ...]
) -> _Followed:
    """Return the root mean square error of the NNGP kernel where only the second width grows: it stays."""
    kernel = np.asarray(network(activation, 2).nngp(inputs.x))
    centre = np.stack([kernel[inputs.pairs], scale_of(kernel, inputs)])
    return _Followed("root mean square error", 0.0, (_statistic(error_name("nngp"), centre),) * len(widths), ())


_AVERAGED = "; the last layer averaged out, as outputs are normal given the kernel"
_FOLLOWED: Mapping[str, Callable[[Claim, _Study, str, Inputs, tuple[int, ...]], _Followed]] = {
    "bias": _bias,
    "cosines": _dependence,
    "distance": _distance,
    "first width fixed": _first_width_fixed,
}


def _variances(study: _Study, activation: str, inputs: Inputs) -> FloatArray:
    """Return N times the variances of a kernel: at every N for one hidden layer, else what it tends to."""
    net = network(activation, study.hidden_layers)
    if study.kernel == INHERITED:
        first, second = (law(net, inputs.x, 1, expression(m.rhs), True) for m in moments_of(inherited()))
        return np.asarray(second - first**2)
    laws = layer_two(net, inputs.x, 1) if study.hidden_layers == 1 else coefficients(net, inputs)
    names = {"nngp": "nngp_variance", "ntk": "tangent_variance", "ntk between outputs": "cross_variance"}
    return np.asarray(getattr(laws, names[study.kernel]))
