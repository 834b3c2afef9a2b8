"""What is measured for the laws of outputs: covariances of cosines, and distribution functions.

Both are means of bounded values, with intervals that hold at every sample size; and both follow from the law of the
empirical NNGP kernel, so their rates are measured with the last layer averaged out.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from derive.claim import Claim
from derive.laws import Quantity
from derive.lecture.deep_networks import N
from derive.terms import Term
from numeric.kernels import MLP
from numeric.output_laws import cosine_covariance, cosine_means, excess_of_cdf
from verify.ensembles import CDF, COSINES, Ensemble
from verify.inputs import Inputs
from verify.planning import ACTIVATIONS, SIGMA_B, SIGMA_W, Plan, at_pairs, network, networks_in_a_block, plan_of_mean
from verify.statistics import bernstein_interval, distribution_interval

FloatArray = NDArray[np.float64]

WIDTHS = {"relu": 4, "erf": 2}
"""Hidden widths: the fewer the farther from the limit; kernels of erf vary less. Chosen."""
COVARIANCES = 5.0
"""How much coarser covariances are resolved than means (chosen: they are small beside what spreads)."""
PEAK = math.sqrt(3 - math.sqrt(6))
"""Where the distribution function is farthest from the normal one at large width, in standard deviations: derived, the
first zero of He_4, since the excess is -Var K / (8 K^2) He_3 times the density to leading order in 1/N."""
TAIL = math.sqrt(3 + math.sqrt(6))
"""Where it is farthest on the other side: the second zero."""
POINTS = np.array([-TAIL, -1.5, -PEAK, -0.3, 0.3, PEAK, 1.5, TAIL])
"""Points of distribution functions in standard deviations of the limit: extremes, and some between them (chosen)."""


def sixteen_outputs(activation: str, width: int | None = None) -> Ensemble:
    """Return networks with one hidden layer, narrow if no width is given, and as many outputs as show more of it."""
    width = width or WIDTHS[activation]
    name = f"one hidden layer, {activation}, width {width}, sixteen outputs"
    return Ensemble(name, activation, (width,), 16, SIGMA_W, SIGMA_B, networks_in_a_block(width, 4096))


def scales_of_outputs(net: MLP, inputs: Inputs) -> FloatArray:
    """Return the standard deviation of an output at each input."""
    return np.asarray(np.sqrt(np.diag(net.nngp(inputs.x))))


def _stated(term: Term, width: int) -> tuple[float, float]:
    """Return the factor of a quantity, and the width that it is taken at."""
    if not isinstance(term, Quantity):
        raise TypeError(f"expected a quantity, got a {type(term).__name__}")
    at_width = N if term.at_width is None else term.at_width
    return float(term.factor), float(at_width.subs(N, width))


def dependence(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return plans for the covariance of the cosines of two outputs at all pairs of inputs."""
    plans = []
    for activation in ACTIVATIONS:
        net, ensemble = network(activation, 1), sixteen_outputs(activation)
        (width,) = ensemble.widths
        frequencies = 1 / scales_of_outputs(net, inputs)
        means = cosine_means(net, inputs.x, width, frequencies)

        def value(term: Term, net: MLP = net, width: int = width, frequencies: FloatArray = frequencies) -> FloatArray:
            factor, at_width = _stated(term, width)
            return at_pairs(factor * cosine_covariance(net, inputs.x, at_width, frequencies), inputs)

        largest = float(cosine_covariance(net, inputs.x, width, frequencies).max())
        # deviations of a cosine from its mean m lie between -1 - m and 1 - m
        most, other = (1 + means.max()) ** 2, (1 + means.max()) * (1 - means.min())
        plans.append(
            plan_of_mean(
                claim,
                ensemble.name,
                ensemble,
                COSINES,
                value,
                np.full(len(inputs.pair_labels), largest),
                inputs.pair_labels,
                COVARIANCES * resolution,
                "relative to the largest covariance",
                centre=np.stack([frequencies, means]),
                note="exact at this width; cosines are bounded, so the interval holds at every sample size",
                interval=partial(bernstein_interval, bounds=(-other / largest, most / largest)),
            )
        )
    return tuple(plans)


def distribution(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return plans for the distribution function of an output at every input."""
    plans = []
    for activation in ACTIVATIONS:
        net, ensemble = network(activation, 1), sixteen_outputs(activation)
        (width,) = ensemble.widths
        points = np.multiply.outer(scales_of_outputs(net, inputs), POINTS)

        def value(term: Term, net: MLP = net, width: int = width, points: FloatArray = points) -> FloatArray:
            factor, at_width = _stated(term, width)
            normal = special.ndtr(POINTS / factor)
            return np.asarray(normal + excess_of_cdf(net, inputs.x, at_width, points / factor)).ravel()

        labels = tuple(f"{label}, z ≤ {point:.3g} √K" for label in inputs.labels for point in POINTS)
        plans.append(
            plan_of_mean(
                claim,
                ensemble.name,
                ensemble,
                CDF,
                value,
                np.ones(len(labels)),
                labels,
                resolution,
                "difference of probabilities",
                centre=points,
                note="exact at this width; the band of Dvoretzky, Kiefer and Wolfowitz holds at every sample size",
                interval=partial(distribution_interval, laws=len(inputs.labels)),
            )
        )
    return tuple(plans)
