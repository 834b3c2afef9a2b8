"""What emitted modules need besides formulas: :mod:`numeric.emit` copies these functions, with what they use, as text.

The iteration over layers is that of :class:`numeric.kernels.MLP` for one activation and one pair of scales.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numeric.kernels import determinant_of, gram_determinant, require_numbers, require_representable

FloatArray = NDArray[np.float64]


def iterated_layers(
    functions: tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]],
    x1: ArrayLike,
    x2: ArrayLike | None,
    hidden_layers: int,
    sigma_w: float,
    sigma_b: float,
) -> tuple[FloatArray, FloatArray]:
    """Return (K, Theta) of one output from the functions dual, first_layer and next_layer.

    D of the first layer comes from the inputs themselves where they are nearly parallel, and D of the next ones from an
    exact product, so that identical and antiparallel inputs keep their digits.
    """
    dual, first_layer, next_layer = functions
    x1 = np.asarray(x1, dtype=float)
    x2 = x1 if x2 is None else np.asarray(x2, dtype=float)
    if x1.ndim != 2 or x2.ndim != 2 or x1.shape[1] != x2.shape[1]:
        raise ValueError(f"expected inputs of shape (n_points, dimension), got {x1.shape} and {x2.shape}")
    scales = x1.shape[1], sigma_w, sigma_b
    norms1, norms2 = (np.einsum("nd,nd->n", x, x) for x in (x1, x2))
    dot = x1 @ x2.T
    gram = np.outer(norms1, norms2) - dot**2
    distance = norms1[:, None] + norms2 - 2 * dot
    for i, x in enumerate(x1):
        near = np.flatnonzero(gram[i] <= 0.01 * norms1[i] * norms2)
        gram[i, near], distance[i, near] = gram_determinant(np.tile(x, (len(near), 1)), x2[near])
        dot[i, near[distance[i, near] == 0]] = norms1[i]
    a, _, _ = first_layer(norms1[:, None], 0.0, 0.0, *scales)
    b, _, _ = first_layer(norms2[None, :], 0.0, 0.0, *scales)
    c, tangent, D = first_layer(dot, gram, distance, *scales)
    same = distance == 0
    for layer in range(hidden_layers):
        if layer:
            D = np.where(same, 0.0, determinant_of(a, b, c))
        require_representable(a, b, D)
        pair = dual(a, b, c, D)
        a, b = (next_layer(*dual(s, s, s, np.zeros_like(s)), 0.0, sigma_w, sigma_b)[0] for s in (a, b))
        with np.errstate(over="ignore", invalid="ignore"):
            c, tangent = next_layer(*pair, tangent, sigma_w, sigma_b)
    require_numbers(tangent)
    return c, tangent
