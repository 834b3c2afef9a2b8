"""Section 2: linear models in features, ridge regression, and its form in kernels (eqs 4-9)."""

from __future__ import annotations

import sympy as sp

from derive.claim import Claim, Kind, Stated, Status
from derive.exhibit import Exhibit, Formula

_INPUTS = (sp.Rational(1, 2), sp.Integer(-2), sp.Integer(3))


def _features(x: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return the features 1 and x^2 of a number."""
    return sp.S.One, x**2


def _design() -> sp.Matrix:
    """Return the design matrix, a row for each input."""
    return sp.Matrix([_features(x) for x in _INPUTS])


def _design_matrix() -> tuple[Exhibit, ...]:
    entry = sp.Matrix(len(_INPUTS), 2, lambda i, j: _features(_INPUTS[i])[j])
    rows = _design()
    return (
        Exhibit(
            setting="the features 1 and x² of x = 1/2, -2, 3",
            left=rows,
            right=entry,
            wrong={"a column for each input": lambda: entry.T},
        ),
    )


CLAIMS = (
    Claim(
        id="eq5",
        title="The design matrix has the features of an input in each row",
        section="2",
        equation="5",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(r"\Phi_{i j} = \phi_{j}(x_{i}),\qquad \Phi \in \mathbb{R}^{n \times m}"),
        mutants=tuple,
        exhibits=_design_matrix,
    ),
)
