"""How it is computed: kernels lowered from the derivations, and finite networks to hold them against."""

from numeric.kernels import MLP
from numeric.sampler import sample_kernels

__all__ = ["MLP", "sample_kernels"]
