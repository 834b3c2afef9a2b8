"""The lecture's statements as claims, one module per section, and those on duals and finite width."""

from derive.claim import Registry
from derive.duals import claims as duals
from derive.lecture import finite_width, linearized, nngp, ntk

CLAIMS = Registry(duals.CLAIMS, nngp.CLAIMS, ntk.CLAIMS, finite_width.CLAIMS, linearized.CLAIMS)
"""Every claim by id."""

__all__ = ["CLAIMS"]
