"""How it is computed: kernels lowered from the derivations, and finite networks to hold them against."""

from numeric.kernels import MLP

__all__ = ["MLP"]
