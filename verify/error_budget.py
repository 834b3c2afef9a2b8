"""How the false-alarm probability of a whole suite is shared among its checks, before anything is sampled.

The sum over all checks of the probability of a wrong verdict is at most `total`, by the union bound, however the
checks depend on each other. That holds only if the list of checks was fixed before sampling, so a budget knows the
checks it was made for and has nothing to give to any other.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CheckName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """A probability of error and the (claim, check) pairs it is shared among.

    Attributes:
        total: probability that any verdict of the suite is wrong. Chosen by whoever runs the suite.
        safety: divisor of every share. The intervals of means are approximate for skewed data: from 300 replicates on,
            simulated normal, chi-squared and lognormal samples erred at most 3.1 times as often as asked. The value 4
            was chosen to cover that; it is calibrated by simulation, not a theorem.
        shares: ((claim, check), weight) for each declared check.

    Raises:
        ValueError: if a number is out of range, or a check is declared twice.
    """

    total: float
    safety: float = 4.0
    shares: tuple[tuple[CheckName, float], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.total < 1:
            raise ValueError(f"total must be a probability strictly between 0 and 1, got {self.total}: try 1e-6")
        if not (math.isfinite(self.safety) and self.safety >= 1):
            raise ValueError(f"safety must be at least 1, got {self.safety}: it divides every share")
        shares = tuple(((claim, check), float(weight)) for (claim, check), weight in self.shares)
        seen: set[CheckName] = set()
        for name, weight in shares:
            if name in seen:
                raise ValueError(f"check {_text(name)} is declared twice: give each check of a claim its own name")
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"check {_text(name)} has weight {weight}: weights must be positive and finite")
            seen.add(name)
        object.__setattr__(self, "shares", shares)

    @classmethod
    def share(
        cls,
        total: float,
        declared: Sequence[CheckName],
        weights: Mapping[CheckName, float] | None = None,
        safety: float = 4.0,
    ) -> ErrorBudget:
        """Budget over the declared checks, each of weight 1 unless `weights` says otherwise.

        Raises:
            ValueError: if a check is declared twice, or a weight is given for a check that is not declared.
        """
        given = dict(weights or {})
        stray = [name for name in given if name not in declared]
        if stray:
            raise ValueError(
                f"weight given for {_text(stray[0])}, which is not declared: declare it or drop the weight"
            )
        return cls(total=total, safety=safety, shares=tuple((name, given.get(name, 1.0)) for name in declared))

    def alpha(self, claim: str, check: str) -> float:
        """Error probability this check may use, total · weight / (safety · sum of weights).

        Raises:
            ValueError: if the check was not declared.
        """
        weights = dict(self.shares)
        if (claim, check) not in weights:
            close = difflib.get_close_matches(_text((claim, check)), map(_text, weights), n=3)
            hint = f"did you mean {', '.join(close)}?" if close else "declare it before sampling"
            raise ValueError(f"check {_text((claim, check))} has no share of the error budget: {hint}")
        return self.total * weights[claim, check] / (self.safety * math.fsum(weights.values()))


def look_alpha(alpha: float, look: int) -> float:
    """Error probability for look number `look` = 0, 1, 2, … at growing data, alpha / ((look + 1)(look + 2)).

    The shares of all looks, however many, add up to alpha, so one may stop at any of them. Derived: a telescoping sum
    and the union bound. Chosen: this sequence among all that add up to one.

    Raises:
        ValueError: if alpha is not a probability or `look` is negative.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be strictly between 0 and 1, got {alpha}: take it from the error budget")
    if look < 0:
        raise ValueError(f"look must be 0 or more, got {look}: the first look has number 0")
    return alpha / ((look + 1) * (look + 2))


def _text(name: CheckName) -> str:
    return f"{name[0]} / {name[1]}"
