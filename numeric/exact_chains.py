"""EXACT laws of the empirical kernels of deep networks at one input, at every width.

Given the layers below, the kernel of the next layer at one input is a mean over iid units, so K^l(x, x) is a Markov
chain, and the tangent kernel hangs on it by few other variables: with u the inputs of the weights of a unit, bias
included, and M the matrix with Theta_kk' = K delta_kk' + w_k^T M w_k', they are

    q = |u|^2 = K,    t = tr M,    r = u^T M u,    and for second moments tr M^2.

For positively homogeneous activations (relu) their second moments obey a linear recursion. For bounded activations the
law of K is carried on Chebyshev nodes: all means of polynomials up to their degree are right.

Source: derived here; Hanin and Nica 2020 (arXiv:1909.05989) have the moments of relu networks up to constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation
from derive.duals.kernel_side import KernelDual
from numeric.chebyshev_chain import chain_moments
from numeric.kernels import MLP, as_inputs
from numeric.leading_order import first_layer
from numeric.lower_functions import lowered_activation

FloatArray = NDArray[np.float64]

_POWERS: FloatArray = np.ldexp(1.0, np.arange(64))
_NEAR, _FAR = np.concatenate([np.linspace(0, 100, 10_001), _POWERS[:20]]), _POWERS[20:]
"""Where the largest value of a bounded activation is looked for, and where it must not be exceeded; chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class ChainLaw:
    """EXACT moments over networks of the empirical kernels of the output layer at single inputs, each (n_points,).

    Attributes:
        nngp_mean, nngp_variance: of K(x, x).
        tangent_mean: of Theta_kk(x, x).
    """

    nngp_mean: FloatArray
    nngp_variance: FloatArray
    tangent_mean: FloatArray

    @property
    def output_fourth_cumulant(self) -> FloatArray:
        """Return the fourth cumulant of an output, which is Gaussian given K: 3 Var K.

        A third of it is the covariance of the squares of two outputs.
        """
        return 3 * self.nngp_variance

    @property
    def output_excess_kurtosis(self) -> FloatArray:
        """Return the fourth cumulant of an output relative to its squared variance; not a number for a zero output."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.output_fourth_cumulant / self.nngp_mean**2)


@dataclass(frozen=True, slots=True, eq=False)
class ReluChainLaw(ChainLaw):
    """The law of a network with a positively homogeneous activation, with second moments of the tangent kernel.

    Attributes:
        tangent_variance: of Theta_kk.
        cross_variance: of Theta_kk' of two different outputs, whose mean is 0.
        nngp_tangent_covariance: of K and Theta_kk.
        tangent_between_outputs: covariance of Theta_kk and Theta_k'k'.
    """

    tangent_variance: FloatArray
    cross_variance: FloatArray
    nngp_tangent_covariance: FloatArray
    tangent_between_outputs: FloatArray


# Positively homogeneous activations


class _Moments(NamedTuple):
    """Means over networks of q, t and r, of q^2, q t and t^2, and of s = tr M^2."""

    q: FloatArray
    t: FloatArray
    r: FloatArray
    qq: FloatArray
    qt: FloatArray
    tt: FloatArray
    s: FloatArray


def relu_chain(net: MLP, x: ArrayLike, widths: Sequence[int]) -> ReluChainLaw:
    """Return the exact law at each of some inputs, for relu, leaky relu, abs, identity: phi(t z) = t phi(z) for t > 0.

    Deep narrow networks have heavy tails, about those of a log-normal law: sample variances scatter far more than
    normal ones do, and confidence intervals made for these are wrong.

    Args:
        net: a network of any depth.
        x: inputs (n, d), each on its own.
        widths: of each hidden layer.

    Raises:
        ValueError: if an activation is not positively homogeneous, or the widths do not fit the network.
        TypeError: for a dual given as a kernel.
    """
    q = first_layer(net, as_inputs(x))[0].a[:, 0]
    zero = np.zeros_like(q)
    state = _Moments(q, zero, zero, q * q, zero, zero, zero)
    for row, scales, width in zip(net.activations, net.scales[1:], _checked(widths, net), strict=True):
        state = _above_homogeneous(state, *_power_means(row), *scales, width)
    q, t, _, qq, qt, tt, s = state
    mean = q + t
    between = qq + 2 * qt + tt - mean**2
    return ReluChainLaw(
        nngp_mean=q,
        nngp_variance=qq - q**2,
        tangent_mean=mean,
        tangent_variance=between + 2 * s,
        cross_variance=s,
        nngp_tangent_covariance=qq + qt - q * mean,
        tangent_between_outputs=between,
    )


def _above_homogeneous(
    below: _Moments, second: float, fourth: float, sigma_w: float, sigma_b: float, width: int
) -> _Moments:
    """Return the moments of the next layer: terms of one unit, and of pairs of units.

    The law of the weights of one unit is symmetric, and phi(-z)^2 + phi(z)^2 = 2 second z^2. So the mean over the sign
    replaces phi^2, phi'^2 and phi phi' by second times z^2, 1 and z, in pairs of units for each of the two.
    """
    q, t, r, qq, qt, tt, s = below
    each, constant = sigma_w**2 / width, sigma_b**2
    units, pairs = each**2 * width, each**2 * width * (width - 1) * second**2
    signal, slope = each * width * second * q, each * width * second * (q + t)
    tangent_square = qq + 2 * qt + tt  # of K + t, the mean of Theta_kk over the weights of k
    twice_slopes = fourth * (tangent_square + 2 * s)  # E[phi'^4 Theta_jj^2]
    value_and_slope = fourth * (qq + qt + 2 * r)  # E[phi^2 phi'^2 Theta_jj]
    return _Moments(
        q=constant + signal,
        t=slope,
        r=units * value_and_slope + pairs * r,
        qq=constant**2 + 2 * constant * signal + units * 3 * fourth * qq + pairs * qq,
        qt=constant * slope + units * value_and_slope + pairs * (qq + qt),
        tt=units * twice_slopes + pairs * tangent_square,
        s=units * twice_slopes + pairs * s,
    )


def _power_means(row: Activation | KernelDual) -> tuple[float, float]:
    """Return the means of the second and of the fourth powers of both slopes."""
    phi, _ = lowered_activation(row)
    scales: FloatArray = np.ldexp(1.0, np.arange(-20, 21))
    right, left = float(phi(np.array(1.0))), -float(phi(np.array(-1.0)))
    if not (np.array_equal(phi(scales), right * scales) and np.array_equal(phi(-scales), -left * scales)):
        raise ValueError(
            f"expected an activation with phi(t z) = t phi(z) for t > 0, such as relu, got {row.name}; "
            "bounded ones have bounded_chain, others leading_order"
        )
    return (right**2 + left**2) / 2, (right**4 + left**4) / 2


# Bounded activations


def bounded_chain(net: MLP, x: ArrayLike, widths: Sequence[int]) -> ChainLaw:
    """Return the exact law at each of some inputs for bounded activations: tanh, erf, hard-tanh, sign, sin.

    Exact up to interpolation by polynomials, of a degree that agrees with half of it to seven digits. What is hard is
    a law of K that comes near 0, where means are not analytic in K, and a small variance, at widths above a thousand.

    Args:
        net: a network of any depth.
        x: inputs (n, d), each on its own.
        widths: of each hidden layer.

    Raises:
        ValueError: if an activation is not bounded, no degree is enough, or the widths do not fit the network.
        TypeError: for a dual given as a kernel.
    """
    first, counts = first_layer(net, as_inputs(x))[0].a[:, 0], _checked(widths, net)
    for row in net.activations:
        phi, _ = lowered_activation(row)
        near, far = (max(np.abs(phi(side * z)).max() for side in (1, -1)) for z in (_NEAR, _FAR))
        if not (np.isfinite(near) and far <= 1.01 * near):
            raise ValueError(
                f"expected a bounded activation, got {row.name}; relu has relu_chain, others leading_order"
            )
    moments = np.array([chain_moments(net, float(k), counts) for k in first])
    return ChainLaw(*moments.T)


def _checked(widths: Sequence[int], net: MLP) -> tuple[int, ...]:
    if len(widths) != net.hidden_layers:
        raise ValueError(f"widths must be {net.hidden_layers} numbers, one per hidden layer, got {len(widths)}")
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
            raise ValueError(f"a width must be a positive integer, got {width!r}")
    return tuple(int(width) for width in widths)
