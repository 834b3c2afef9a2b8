"""Times laws of trained ensembles; run by hand: python tests/benchmarks/bench_trained.py (about 2 minutes).

1000 training and 1000 test points of dimension 10, 3 layers, 3 outputs, mean and full covariance at 20 times. Wall and
CPU seconds with the threads that BLAS takes, and the peak of the memory of a fresh process, the result included.
Nothing fails here, since a busy machine is not a defect of the code.
"""

import resource
import subprocess
import sys
import time

import numpy as np

from numeric import MLP

CASES = {
    "flow": {"t": np.append(np.geomspace(1e-4, 1e4, 19), np.inf)},
    "descent": {"steps": np.arange(20) ** 3, "learning_rate": 1e-4},
    "mean-only": {"t": np.append(np.geomspace(1e-4, 1e4, 19), np.inf), "covariance": False},
    "posterior": None,
}


def measure(case, name) -> None:
    """Print wall seconds, CPU seconds and peak megabytes."""
    net = MLP(name, 2, 1.5, 0.3)
    rng = np.random.default_rng(0)
    x, tested = rng.standard_normal((2, 1000, 10)) * rng.uniform(0.5, 2.0, (2, 1000, 1))
    y = rng.standard_normal((1000, 3))
    net.kernels(x[:2])  # lowering happens once
    wall, cpu = time.perf_counter(), time.process_time()
    options = CASES[case]
    if options is None:
        net.posterior(x, y, tested, noise=0.1)
    else:
        net.trained(x, y, tested, **options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    if len(sys.argv) > 1:
        measure(*sys.argv[1:])
        return
    for name in ("relu", "erf", "tanh"):
        for case in CASES:
            command = [sys.executable, __file__, case, name]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            wall, cpu, megabytes = map(float, printed.split())
            times = f"{wall:7.2f} s wall {cpu:7.2f} s CPU (bar: 20 s)"
            print(f"{name:<6} {case:<10} {times} {megabytes:7.0f} MB (bar: 1024 MB)", flush=True)


if __name__ == "__main__":
    main()
