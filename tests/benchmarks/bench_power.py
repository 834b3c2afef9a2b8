"""Wrong constants that the tiers must refute; run by hand: python tests/benchmarks/bench_power.py (about 5 minutes).

K^2 and Theta^2, the limits of the kernels on the first layer, are each claimed right and with a constant wrong by the
tier's resolution: 1 % at standard, 0.2 % at deep. The right one must be confirmed, the wrong one refuted.
"""

import time
from dataclasses import replace

import sympy as sp

from derive.lecture import CLAIMS
from derive.mutations import scaled
from verify.error_budget import ErrorBudget
from verify.execution import executor_of
from verify.inputs import default_inputs
from verify.planning import expression
from verify.plans import plans_for
from verify.suite import FALSE_ALARMS, TIERS, _sampled

CASES = (("standard", sp.Rational(101, 100)), ("deep", sp.Rational(1002, 1000)))
SUBJECTS = "nngp.kernel-limit", "eq62"


def stated(key: str, factor: sp.Expr):
    claim = CLAIMS[key]
    return replace(claim, statement=lambda: scaled(expression(claim.statement()), factor), mutants=lambda: ())


def main() -> None:
    inputs = default_inputs()
    declared = [plan.name for key in CLAIMS for plan in plans_for(CLAIMS[key], inputs, 0.02)]
    budget = ErrorBudget.share(FALSE_ALARMS, declared)
    with executor_of(2) as executor:
        for tier, wrong in CASES:
            for key in SUBJECTS:
                for factor in (sp.Integer(1), wrong):
                    start = time.perf_counter()
                    plans = plans_for(stated(key, factor), inputs, TIERS[tier].resolution)
                    found = _sampled(plans, budget, TIERS[tier], 1, inputs, executor, lambda *_: None)
                    for _, result in found:
                        low, high = result.interval
                        print(
                            f"{tier:9} {key:18} times {float(factor):<6g} {result.name:36} {result.verdict!s:12} "
                            f"{result.samples:>10} networks, off by {low:+.5f} to {high:+.5f}"
                        )
                    print(f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
