"""The rules: the only code that builds theorems."""

from derive.rules.algebra import abbreviate, by_equation, by_theorem, collapse, counting, fold, hypothesis, unfold
from derive.rules.calculus import differentiate
from derive.rules.inference import gaussian_law, gaussian_mixture, induction
from derive.rules.probability import (
    identical_units,
    independence,
    isserlis,
    law_of_large_numbers,
    linearity,
    split_diagonal,
)

__all__ = [
    "abbreviate",
    "by_equation",
    "by_theorem",
    "collapse",
    "counting",
    "differentiate",
    "fold",
    "gaussian_law",
    "gaussian_mixture",
    "hypothesis",
    "identical_units",
    "independence",
    "induction",
    "isserlis",
    "law_of_large_numbers",
    "linearity",
    "split_diagonal",
    "unfold",
]
