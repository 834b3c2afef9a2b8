"""Gaussian means of products of activations by quadrature in polar coordinates.

For means without a closed form, such as E[phi(u)^2 phi(v)^2] in a variance. The plane is cut along the lines u = 0 and
v = 0, where activations may have kinks, so the integrand is smooth in every sector.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_RADIAL, _ANGULAR, _CUTOFF = 120, 60, 13.0
"""Nodes by radius and by sector, and the radius beyond which exp(-r^2/2) r^9 is below 1e-26; chosen."""
_STEEP, _RATIO = 4.0, 4.0
"""Standard deviation up to which a bounded activation is smooth for these nodes, and the ratio of successive panels
beyond it, where it is a step of width 1 seen from afar; chosen, tested to 1e-10 with the numbers above."""


def gaussian_mean(
    function: Callable[[FloatArray, FloatArray], FloatArray], a: float, b: float, c: float, D: float
) -> float:
    """Return E[function(u, v)] for a centred Gaussian pair of variances a, b, covariance c and D = ab - c^2.

    Degenerate pairs (a = 0, b = 0 or D = 0) are allowed. The function must be smooth off the lines u = 0 and v = 0 and
    grow at most polynomially.
    """
    along, across = (c / np.sqrt(a), np.sqrt(D / a)) if a > 0 else (0.0, np.sqrt(b))
    kinks = [np.pi / 2, 3 * np.pi / 2]  # u = sqrt(a) r cos(angle) vanishes
    if along or across:
        kinks += [np.arctan2(along, -across) % (2 * np.pi), np.arctan2(-along, across) % (2 * np.pi)]
    edges = np.sort(np.array(kinks))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    levels = int(np.ceil(np.log(max(np.sqrt(max(a, b)) / _STEEP, 1.0)) / np.log(_RATIO)))
    small = _RATIO ** -np.arange(levels, 0.0, -1.0)  # panels shrink towards the origin and the kinks
    from_kink = np.concatenate([[0.0], small, 1 - small[::-1], [1.0]]) if levels else np.array([0.0, 1.0])
    angles, angle_weights = _panels((edges[:-1, None] + np.diff(edges)[:, None] * from_kink), _ANGULAR)
    r, radius_weights = _panels(_CUTOFF * np.concatenate([[0.0], small, [1.0]])[None], _RADIAL)
    radius_weights = radius_weights * r * np.exp(-(r**2) / 2) / (2 * np.pi)
    first, second = np.outer(r, np.cos(angles)), np.outer(r, np.sin(angles))
    values = function(np.sqrt(a) * first, along * first + across * second)
    return float(radius_weights @ values @ angle_weights)


def _panels(edges: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes and weights on the panels between successive edges of each row."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges)[..., None] / 2
    middle = (edges[:, :-1] + edges[:, 1:])[..., None] / 2
    return (middle + half * nodes).ravel(), (half * weights).ravel()
