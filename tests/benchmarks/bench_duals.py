"""Tables on duals: time to derive, digits in float64, kernels of many points. Run by hand: a few minutes.

    python tests/benchmarks/bench_duals.py [EXPRESSION ...]

Nothing fails here, since a busy machine is not a defect of the code. Expressions are added to the activations.
"""

import sys
import time

import numpy as np

from derive.activations import ACTIVATIONS, activation
from derive.duals.theorems import ClosedForm, mean_theorem
from numeric import MLP
from numeric.accuracy import measured, wide_pairs
from numeric.lower_duals import lowered_dual, mean_of_modulus
from numeric.proven_error import proven_means

UNUSUAL = (
    "z**2*Phi(z)",
    "max(z,0)*exp(-z**2)",
    "cos(5*z)*exp(-z**2/2)",
    "exp(-abs(z))",
    "gelu(z-1)",
    "max(z-1,0)",
    "where(z < 0, z, 2*z**2)",
    "z*sin(z)",
    "exp(z)*sin(z)",
    "sign(z)*exp(-z**2)",
    "z*erf(z)+exp(-z**2)",
    "hermite(10,z)",
)
PAIRS = 300


def derivation_times(rows) -> None:
    print(f"\n{'both duals':<28} {'seconds':>8}  route of the value, of the derivative")
    seconds = []
    for row in rows:
        start = time.perf_counter()
        for order in (0, 1):
            mean_theorem.__wrapped__(row, order)
        seconds.append(time.perf_counter() - start)
        theorems = [mean_theorem(row, order) for order in (0, 1)]
        routes = ["closed form" if isinstance(t.rhs, ClosedForm) else "series" for t in theorems]
        print(f"{row.name:<28} {seconds[-1]:8.3f}  {', '.join(routes)}", flush=True)
    print(f"median {np.median(seconds):.3f} s (promised 0.3), worst {max(seconds):.3f} s (promised 5)")


def digits(rows) -> None:
    print(
        f"\nfloat64 over {PAIRS} pairs, variances in [1e-3, 1e3], 1 - |rho| in [1e-16, 1]: absolute error relative to"
    )
    print("sqrt(k(a,a) k(b,b)) (promised 1e-14); ulps where the mean is above E|phi(u) phi(v)|/10 (promised 100)")
    print(f"{'':<28} {'phi':>9} {'ulps':>6} {'phi-dot':>9} {'ulps':>6}  route")
    for row in rows:
        figures, routes = [], []
        for order in (0, 1):
            right = mean_theorem(row, order).rhs
            lowered = lowered_dual(row).derivative if order else lowered_dual(row).value
            routes.append(lowered.route)
            if isinstance(right, ClosedForm):
                modulus = mean_of_modulus(row.derivative if order else row.expression)
                found = measured(lowered, right, wide_pairs(PAIRS), modulus)
                figures += [f"{found.absolute:9.1e}", f"{found.ulps:6.2g}"]
            else:
                figures += [f"{lowered.error:9.1e}", "bound"]
        print(f"{row.name:<28} {' '.join(figures)}  {', '.join(dict.fromkeys(routes))}", flush=True)


def many_points(names, points: int = 1000, dimension: int = 20) -> None:
    print(f"\nNNGP and NTK of {points} points, one hidden layer (promised 10 s without closed form)")
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(points, dimension)) * rng.uniform(0.7, 1.4, size=(points, 1))
    near = rng.normal(size=dimension) + 0.05 * spread
    for name in names:
        for label, x in (("spread", spread), ("nearly parallel", near)):
            net = MLP(name, 1, 1.4, 0.1)
            start = time.perf_counter()
            net.kernels(x)
            print(f"{name:<28} {label:<16} {time.perf_counter() - start:8.2f} s", flush=True)


def nearly_parallel(names, points: int = 1000) -> None:
    print(f"\none mean at all pairs of {points} inputs with 1 - rho in [g, 10 g], seconds (promised 10)")
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(points, 1)
    deviations, logarithms = rng.uniform(0.7, 1.4, points), rng.uniform(0, 1, len(i))
    a, b = deviations[i] ** 2, deviations[j] ** 2
    for name in names:
        mean = lowered_dual(activation(name)).value
        for smallest in (1e-2, 1e-3, 1e-6):
            gap = smallest * 10**logarithms
            start = time.perf_counter()
            mean(a, b, (1 - gap) * np.sqrt(a * b), a * b * gap * (2 - gap))
            print(f"{name:<28} g = {smallest:<12g} {time.perf_counter() - start:8.2f} s", flush=True)


def proofs(names, points: int = 20) -> None:
    print(f"\nproven errors of one mean at all pairs of {points} inputs: largest, and seconds of CPU")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(points, 10)) * rng.uniform(0.2, 0.5, size=(points, 1))
    c = x @ x.T
    i, j = np.triu_indices(points, 1)
    for name in names:
        start = time.process_time()
        found = proven_means(activation(name), c[i, i], c[j, j], c[i, j])
        print(f"{name:<28} {found.errors.max():9.1e} {time.process_time() - start:8.2f} s", flush=True)


if __name__ == "__main__":
    unusual = [activation(text) for text in (*UNUSUAL, *sys.argv[1:])]
    derivation_times([*ACTIVATIONS, *unusual])
    digits([*ACTIVATIONS, *unusual])
    many_points(["relu", "gelu", "tanh", "softplus", "mish", "elu", "hard-tanh"])
    nearly_parallel(["abs(tanh(z))", "hard-tanh", "elu", "tanh"])
    proofs(["tanh", "softplus", "elu", "abs(tanh(z))"])
