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
"""Nodes by radius and by sector, and the radius beyond which exp(-r^2/2) r^9 is below 1e-26; chosen, tested to 1e-10."""


def gaussian_mean(
    function: Callable[[FloatArray, FloatArray], FloatArray], a: float, b: float, c: float, D: float
) -> float:
    """Return E[function(u, v)] for a centred Gaussian pair with variances a, b, covariance c and determinant D = ab - c^2.

    Degenerate pairs (a = 0, b = 0 or D = 0) are allowed. The function must be smooth off the lines u = 0 and v = 0 and grow
    at most polynomially.
    """
    along, across = (c / np.sqrt(a), np.sqrt(D / a)) if a > 0 else (0.0, np.sqrt(b))
    kinks = [np.pi / 2, 3 * np.pi / 2]  # u = sqrt(a) r cos(angle) vanishes
    if along or across:
        kinks += [np.arctan2(along, -across) % (2 * np.pi), np.arctan2(-along, across) % (2 * np.pi)]
    edges = np.sort(np.array(kinks))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    nodes, weights = np.polynomial.legendre.leggauss(_ANGULAR)
    half = np.diff(edges) / 2
    angles = ((edges[:-1] + edges[1:]) / 2)[:, None] + half[:, None] * nodes
    angle_weights = (half[:, None] * weights).ravel() / (2 * np.pi)
    radial_nodes, radial_weights = np.polynomial.legendre.leggauss(_RADIAL)
    r = (radial_nodes + 1) * _CUTOFF / 2
    radius_weights = radial_weights * _CUTOFF / 2 * r * np.exp(-(r**2) / 2)
    first, second = np.outer(r, np.cos(angles.ravel())), np.outer(r, np.sin(angles.ravel()))
    values = function(np.sqrt(a) * first, along * first + across * second)
    return float(radius_weights @ values @ angle_weights)
