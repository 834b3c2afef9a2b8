"""Gradient flow of the linearized network: operator theorems evaluated on explicit matrices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from derive.operators import Operator
from numeric.lower import spectral_functions

FloatArray = NDArray[np.float64]


def evaluate(
    operator: Operator, jacobian: FloatArray, letters: Mapping[str, FloatArray], learning_rate: float, time: float
) -> FloatArray:
    """Return an operator theorem's right side as a matrix.

    Args:
        operator: a sum of words, as derived; functions of Theta are evaluated by one eigendecomposition of ``J J^T``.
        jacobian: J, shape (n_training, n_parameters).
        letters: the other matrices by name; ``J`` and ``J^T`` are known.
        learning_rate: eta.
        time: t.

    Eigenvalues below the rounding error of the eigendecomposition count as zero, so singular Theta is no special case.

    Raises:
        KeyError: if a letter has no matrix, with the names that are needed.
    """
    eigenvalues, vectors = np.linalg.eigh(jacobian @ jacobian.T)
    threshold = len(eigenvalues) * np.finfo(float).eps * max(float(eigenvalues[-1]), 0.0)
    positive = eigenvalues > threshold
    matrices = {**letters, "J": jacobian, "J^T": jacobian.T}
    spaces = {letter.name: letter for word in operator.words for letter in word}
    missing = sorted(spaces.keys() - matrices.keys())
    if missing:
        raise KeyError(f"expected a matrix for each of {sorted(spaces)}, got none for {', '.join(missing)}")
    total: FloatArray | None = None
    for names, (on_range, at_zero) in spectral_functions(operator).items():
        joint = next((n for n, name in enumerate(names) if spaces[name].rows.name == "X"), None)
        if joint is None and (spaces[names[-1]].columns if names else operator.columns).name == "X":
            joint = len(names)
        factors = [matrices[name] for name in names]
        if joint is None:
            factors = [float(on_range(1.0, learning_rate, time)) * factors[0], *factors[1:]]
        else:
            safe = np.where(positive, eigenvalues, 1.0)
            g = np.where(positive, on_range(safe, learning_rate, time), at_zero(eigenvalues, learning_rate, time))
            factors.insert(joint, (vectors * g) @ vectors.T)
        word = reduce(np.matmul, factors)
        total = word if total is None else total + word
    if total is None:
        raise ValueError("the operator has no words: it is zero, and its size is not known")
    return total
