"""The lecture's statements as claims, one module per section, and those on duals and finite width."""

from derive.claim import Registry
from derive.duals import claims as duals
from derive.lecture import (
    conditioning,
    deep_networks,
    deeper_layers,
    ensemble_claims,
    finite_width,
    first_layer,
    flow_claims,
    gaussian_processes,
    joint_law,
    kernel_methods,
    last_layer_claims,
    linear_model,
    nngp,
    ntk,
    outputs,
    tangent_assembly,
    tangent_averages,
    tangent_definition,
    tangent_first_layer,
    tangent_parts,
    trained_networks,
)

CLAIMS = Registry(
    nngp.CLAIMS,
    first_layer.CLAIMS,
    deeper_layers.CLAIMS,
    joint_law.CLAIMS,
    tangent_definition.DEFINITIONS,
    tangent_first_layer.CLAIMS,
    tangent_parts.CLAIMS,
    tangent_averages.CLAIMS,
    ntk.CLAIMS,
    tangent_definition.LIMIT,
    tangent_assembly.CLAIMS,
    linear_model.CLAIMS,
    flow_claims.CLAIMS,
    ensemble_claims.CLAIMS,
    last_layer_claims.CLAIMS,
    trained_networks.CLAIMS,
    conditioning.CLAIMS,
    gaussian_processes.CLAIMS,
    kernel_methods.CLAIMS,
    finite_width.CLAIMS,
    outputs.CLAIMS,
    deep_networks.CLAIMS,
    duals.CLAIMS,
    made=duals.claim_made,
)
"""Every claim by id, and ``dual.EXPRESSION`` for any activation."""

__all__ = ["CLAIMS"]
