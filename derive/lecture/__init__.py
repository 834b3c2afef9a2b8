"""The lecture's statements as claims, one module per section, and those on duals and finite width."""

from derive.claim import Registry
from derive.duals import claims as duals
from derive.lecture import (
    conditioning,
    deep_networks,
    ensemble_claims,
    finite_width,
    flow_claims,
    kernel_methods,
    last_layer_claims,
    linear_model,
    nngp,
    ntk,
    outputs,
)

CLAIMS = Registry(
    kernel_methods.CLAIMS,
    nngp.CLAIMS,
    ntk.CLAIMS,
    linear_model.CLAIMS,
    flow_claims.CLAIMS,
    ensemble_claims.CLAIMS,
    last_layer_claims.CLAIMS,
    conditioning.CLAIMS,
    finite_width.CLAIMS,
    outputs.CLAIMS,
    deep_networks.CLAIMS,
    duals.CLAIMS,
    made=duals.claim_made,
)
"""Every claim by id, and ``dual.EXPRESSION`` for any activation."""

__all__ = ["CLAIMS"]
