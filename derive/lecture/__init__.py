"""The lecture's statements as claims, one module per section, and those on duals and finite width."""

from derive.claim import Registry
from derive.duals import claims as duals
from derive.lecture import (
    conditioning,
    deep_networks,
    ensemble_claims,
    finite_width,
    kernel_methods,
    linearized,
    nngp,
    ntk,
    outputs,
    trained_networks,
)

CLAIMS = Registry(
    kernel_methods.CLAIMS,
    nngp.CLAIMS,
    ntk.CLAIMS,
    linearized.CLAIMS,
    ensemble_claims.CLAIMS,
    trained_networks.CLAIMS,
    conditioning.CLAIMS,
    finite_width.CLAIMS,
    outputs.CLAIMS,
    deep_networks.CLAIMS,
    duals.CLAIMS,
    made=duals.claim_made,
)
"""Every claim by id, and ``dual.EXPRESSION`` for any activation."""

__all__ = ["CLAIMS"]
