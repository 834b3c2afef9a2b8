"""Products of matrices on one thread: on several they round differently."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import scipy.linalg  # noqa: F401  (brings a BLAS of its own, which must be there when libraries are looked for)
from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries of this process, which take as long to find as a small block of networks to sample."""
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which the BLAS of NumPy and that of SciPy use one thread."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limited
