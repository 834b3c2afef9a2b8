"""Linear models in training, and Gaussian processes given data: operator theorems evaluated on explicit matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from derive.operators import Letter, Operator
from numeric.lower import spectral_functions

FloatArray = NDArray[np.float64]


def evaluate(
    operator: Operator,
    jacobian: FloatArray,
    letters: Mapping[str, FloatArray],
    learning_rate: float,
    time: float,
    *,
    noise: float = 1.0,
    same_output: bool = True,
) -> FloatArray:
    """Return an operator theorem's right side as a matrix.

    Args:
        operator: a sum of words, as derived; functions of Theta are evaluated by one eigendecomposition of ``J J^T``.
        jacobian: J, shape (n_training, n_parameters).
        letters: the other matrices by name; ``J`` and ``J^T`` are known.
        learning_rate: eta.
        time: t, or the number of steps of gradient descent.
        noise: standard deviation of the noise of the targets.
        same_output: whether a covariance is of one output with itself, or of two outputs.

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
    for names, functions in spectral_functions(operator).items():
        blocks = _between_joints(operator, [spaces[name] for name in names], matrices, vectors)
        joints = len(blocks) - 1
        grids = np.meshgrid(*[np.where(positive, eigenvalues, 1.0)] * joints, indexing="ij")
        zeros = np.meshgrid(*[~positive] * joints, indexing="ij")
        piece = sum((zero.astype(int) << n for n, zero in enumerate(zeros)), np.zeros((), int))
        values = [f(*grids, learning_rate, time, noise, float(same_output)) for f in functions]
        g = np.choose(piece, np.broadcast_arrays(*values, piece)[:-1])
        word = _contracted(blocks, g)
        total = word if total is None else total + word
    if total is None:
        raise ValueError("the operator has no words: it is zero, and its size is not known")
    return total


def _between_joints(
    operator: Operator, word: Sequence[Letter], matrices: Mapping[str, FloatArray], vectors: FloatArray
) -> list[FloatArray]:
    """Return the products of the letters before, between and after the joints on X, in Theta's eigenbasis there."""
    blocks: list[list[FloatArray]] = [[vectors], [vectors.T]] if operator.rows.name == "X" else [[]]
    for letter in word:
        blocks[-1].append(matrices[letter.name])
        if letter.columns.name == "X":
            blocks[-1].append(vectors)
            blocks.append([vectors.T])
    return [reduce(np.matmul, block) for block in blocks]


def _contracted(blocks: Sequence[FloatArray], g: FloatArray) -> FloatArray:
    """Return the sum over the modes at all joints of the blocks' entries times the function's value."""
    if len(blocks) == 1:
        return g * blocks[0]
    joints = "ijklmn"[: len(blocks) - 1]
    ends = f"a{joints}b"
    subscripts = ",".join(ends[n : n + 2] for n in range(len(blocks)))
    word: FloatArray = np.einsum(f"{subscripts},{joints}->ab", *blocks, g)
    return word
