"""The lecture's statements as claims, one module per section, and those on duals and finite width."""

from derive.claim import Registry
from derive.duals import claims as duals
from derive.lecture import finite_width, linearized, nngp, ntk

CLAIMS = Registry(nngp.CLAIMS, ntk.CLAIMS, linearized.CLAIMS, finite_width.CLAIMS, duals.CLAIMS)
"""Every claim by id."""

__all__ = ["CLAIMS"]
