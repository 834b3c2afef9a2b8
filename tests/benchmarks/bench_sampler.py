"""Times sampled networks; run by hand: python tests/benchmarks/bench_sampler.py (about 2 minutes, 2.5 GB of memory).

CPU seconds on one core. Each line is one figure with its bar; nothing fails here, since a busy machine is not a defect
of the code. Networks have 4 layers, that is 3 hidden ones of equal width and the output layer, tanh, 4 inputs of
dimension 3, 1 output, normal numbers in float32.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from numeric import MLP
from numeric.sampler import sample_kernels

NET = MLP("tanh", 3, 1.5, 0.3)
X = np.random.default_rng(0).standard_normal((4, 3)) * np.array([[0.5], [1.0], [1.4], [1.9]])


def cpu_seconds(action, repetitions=1) -> float:
    """Shortest of several times."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def network(width, method, count=1, x=X, outputs=1, net=NET):
    return sample_kernels(
        net, x, width=width, n_networks=count, seed=7, outputs=outputs, method=method, dtype=np.float32
    )


def own_products_and_numbers(width) -> float:
    """What networks with weights cannot do without: their numbers, and two products with each square matrix."""
    rng, thin = np.random.Generator(np.random.Philox(1)), np.ones((width, 4), dtype=np.float32)

    def floor():
        for _ in range(2):
            weight = rng.standard_normal((width, width), dtype=np.float32)
            _ = weight @ thin, weight.T @ thin

    return cpu_seconds(floor, 3)


def peak_megabytes() -> float:
    """Largest resident memory of this program, as Linux has it; ru_maxrss would start with that of the caller."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def memory_of(width, method) -> None:
    """Print by how many megabytes lowering the activation and drawing a network raise the peak of a fresh process."""
    before = peak_megabytes()
    network(width, method)
    print(peak_megabytes() - before)


def grown_megabytes(width, method) -> float:
    command = [sys.executable, __file__, str(width), method]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def line(label, value, unit, bar) -> None:
    print(f"{label:<84} {value:10.4g} {unit:<9} (bar: {bar})", flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        memory_of(int(sys.argv[1]), sys.argv[2])
        return
    network(64, "matrix-free")  # lowering happens once
    free = cpu_seconds(lambda: network(2**14, "matrix-free"), 5)
    line("matrix-free, width 16,384", free, "s", "0.03 s")
    real = cpu_seconds(lambda: network(2**14, "weights"))
    line("weights, width 16,384", real, "s", "-")
    line("matrix-free, width 16,384, times faster than weights", real / free, "x", "300 x")
    line("matrix-free, width 1,000,000", cpu_seconds(lambda: network(10**6, "matrix-free"), 2), "s", "2 s")
    line("matrix-free, width 10,000,000", cpu_seconds(lambda: network(10**7, "matrix-free")), "s", "20 s")
    line("matrix-free, width 10,000,000, memory", grown_megabytes(10**7, "matrix-free"), "MB", "50 MB")
    line("weights, width 4,096, memory: two matrices of 67 MB", grown_megabytes(4096, "weights"), "MB", "-")
    with threadpool_limits(1):
        floor = own_products_and_numbers(4096)
    real = cpu_seconds(lambda: network(4096, "weights"), 3)
    line("weights, width 4,096", real, "s", "-")
    line("weights, width 4,096, relative to its products and numbers", real / floor, "x", "1.5 x")
    for n, outputs, layers in ((2, 1, 3), (4, 1, 3), (8, 3, 2), (4, 10, 3), (30, 1, 2)):
        x = np.random.default_rng(1).standard_normal((n, 3))
        for width in (16, 64, 256):
            count, net = max(1, 20_000 // width), MLP("tanh", layers, 1.5, 0.3)
            cases = ((width, method, count, x, outputs, net) for method in ("weights", "matrix-free", "auto"))
            real, free, auto = (cpu_seconds(lambda case=case: network(*case), 3) for case in cases)
            label = f"auto, {n} inputs, {outputs} outputs, {layers} hidden layers of width {width}"
            line(f"{label}: relative to the faster", auto / min(real, free), "x", "2 x")


if __name__ == "__main__":
    main()
