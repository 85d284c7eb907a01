"""Bandwidths and rates of the GPUs, measured with PyTorch: a program of its own that prints JSON.

    python -m rackwright.acceptance.hardware [--seconds S] [--gpus N]

It imports nothing of the package, so that it runs wherever PyTorch does. Every figure is the median of several
rounds that each fill ``--seconds``, taken after the clocks have risen. One process a GPU measures the all-reduce.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COPY_BYTES = 4 << 30
HOST_BYTES = 1 << 30
PEER_BYTES = 1 << 30
GEMM = 8192
ROUNDS = 5


def timed(torch: Any, work: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of one ``work``, in each of ROUNDS rounds; the device's own clock."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def take(count: int) -> float:
        begin.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3 / count

    take(3)
    count = max(1, int(seconds / ROUNDS / max(take(3), 1e-6)))
    return [take(count) for _ in range(ROUNDS)]


def memory_copy(torch: Any, seconds: float) -> dict[str, Any]:
    """GB/s of a copy within the GPU's memory, bytes read and bytes written."""
    free = torch.cuda.mem_get_info()[0]
    size = min(COPY_BYTES, int(free * 0.4)) // 512 * 512
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    took = timed(torch, lambda: target.copy_(source), seconds)
    right = bool(torch.equal(source, target))
    return {"bytes": size, "right": right, "gbs": [2 * size / one / 1e9 for one in took]}


def gemm(torch: Any, seconds: float) -> dict[str, Any]:
    """TFLOP/s of a product of two square bf16 matrices of random numbers (zeros would be faster)."""
    left = torch.randn(GEMM, GEMM, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(GEMM, GEMM, device="cuda", dtype=torch.bfloat16)
    out = torch.empty_like(left)
    took = timed(torch, lambda: torch.mm(left, right, out=out), seconds)
    exact = left[:16].double() @ right.double()
    error = float((out[:16].double() - exact).norm() / exact.norm())
    return {"n": GEMM, "relative_error": error, "tflops": [2 * GEMM**3 / one / 1e12 for one in took]}


def host(torch: Any, seconds: float) -> dict[str, Any]:
    """GB/s to and from pinned memory of the NUMA node that this process runs on."""
    here = torch.empty(HOST_BYTES, dtype=torch.uint8).pin_memory()
    there = torch.empty(HOST_BYTES, dtype=torch.uint8, device="cuda")
    down = timed(torch, lambda: there.copy_(here, non_blocking=True), seconds)
    up = timed(torch, lambda: here.copy_(there, non_blocking=True), seconds)
    return {
        "to_gpu_gbs": [HOST_BYTES / t / 1e9 for t in down],
        "from_gpu_gbs": [HOST_BYTES / t / 1e9 for t in up],
    }


def peer(torch: Any, seconds: float, first: int, second: int) -> dict[str, Any]:
    """GB/s of copies from one GPU to another, and whether they go without the host."""
    source = torch.randint(0, 255, (PEER_BYTES,), dtype=torch.uint8, device=f"cuda:{first}")
    target = torch.empty(PEER_BYTES, dtype=torch.uint8, device=f"cuda:{second}")
    with torch.cuda.device(first):
        took = timed(torch, lambda: target.copy_(source, non_blocking=True), seconds)
    direct = bool(torch.cuda.can_device_access_peer(first, second))
    right = bool((target.cpu() == source.cpu()).all())
    return {"from": first, "to": second, "direct": direct, "right": right,
            "gbs": [PEER_BYTES / one / 1e9 for one in took]}  # fmt: skip


def all_reduce(torch: Any, rank: int, world: int, port: int, seconds: float) -> dict[str, Any]:
    """Bus bandwidth in GB/s of NCCL's all-reduce of 1 GiB over all GPUs; every rank calls this."""
    torch.cuda.set_device(rank)
    group = torch.distributed
    group.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    numbers = torch.full((1 << 29,), 1.0, dtype=torch.bfloat16, device="cuda")
    group.all_reduce(numbers)
    right = bool((numbers == world).all())
    numbers.zero_()
    # Every rank must do the same number of reductions: a fixed one.
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    took = []
    for _ in range(ROUNDS):
        begin.record()
        for _ in range(10):
            group.all_reduce(numbers)
        end.record()
        end.synchronize()
        took.append(begin.elapsed_time(end) / 1e4)
    group.destroy_process_group()
    factor = 2 * (world - 1) / world
    return {"gpus": world, "right": right, "bus_gbs": [factor * numbers.nbytes / one / 1e9 for one in took]}


def numa_nodes() -> list[tuple[int, set[int]]]:
    """NUMA nodes with processors that this process may use, and these processors."""
    found = []
    allowed = os.sched_getaffinity(0)
    for path in sorted(Path("/sys/devices/system/node").glob("node[0-9]*/cpulist")):
        cpus: set[int] = set()
        for part in filter(None, path.read_text().strip().split(",")):
            first, _, last = part.partition("-")
            cpus |= set(range(int(first), int(last or first) + 1))
        if cpus & allowed:
            found.append((int(path.parent.name.removeprefix("node")), cpus & allowed))
    return found or [(0, set(allowed))]


def warm(torch: Any, seconds: float = 1.0) -> None:
    """Work until the clocks have risen."""
    matrix = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(20):
            matrix @ matrix
        torch.cuda.synchronize()


def one_gpu(torch: Any, index: int, seconds: float) -> dict[str, Any]:
    """All figures of one GPU; host bandwidth from each NUMA node."""
    torch.cuda.set_device(index)
    warm(torch)
    found: dict[str, Any] = {"gpu": index, "name": torch.cuda.get_device_name(index)}
    for name, measure in (("memory_copy", memory_copy), ("gemm", gemm)):
        found[name] = measure(torch, seconds)
        torch.cuda.empty_cache()
    found["host"] = []
    everywhere = os.sched_getaffinity(0)
    for node, cpus in numa_nodes():
        os.sched_setaffinity(0, cpus)
        found["host"].append({"numa": node, **host(torch, seconds)})
    os.sched_setaffinity(0, everywhere)
    torch.cuda.empty_cache()
    return found


def together(torch: Any, count: int, seconds: float) -> dict[str, Any]:
    """Copies between all pairs of GPUs, and the all-reduce over all of them."""
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    peers = [peer(torch, seconds / 4, a, b) for a, b in pairs]
    torch.cuda.empty_cache()
    command = [sys.executable, str(Path(__file__).resolve()), "--world", str(count)]
    ranks = [
        subprocess.Popen([*command, "--rank", str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        return {"peers": peers, "all_reduce": {"error": "a rank of the all-reduce failed", "gpus": count}}
    return {"peers": peers, "all_reduce": json.loads(said[0].splitlines()[-1])}


def medians(value: Any) -> Any:
    """The same, with every list of numbers as its median and the rounds beside it."""
    if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
        return {"median": statistics.median(value), "rounds": [round(one, 3) for one in value]}
    if isinstance(value, list):
        return [medians(one) for one in value]
    return {key: medians(one) for key, one in value.items()} if isinstance(value, dict) else value


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--gpus", type=int, default=0, help="how many; default: all that are visible")
    parser.add_argument("--rank", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=29555, help="of this host, for the all-reduce")
    given = parser.parse_args()
    # Here, so that what is above can be used without it.
    torch: Any = importlib.import_module("torch")

    if given.rank >= 0:
        print(json.dumps(medians(all_reduce(torch, given.rank, given.world, given.port, given.seconds))))
        return 0
    if not torch.cuda.is_available():
        print("PyTorch sees no GPU here", file=sys.stderr)
        return 1
    count = given.gpus or torch.cuda.device_count()
    result = {
        "torch": torch.__version__,
        "gpus": [one_gpu(torch, index, given.seconds) for index in range(count)],
        **(together(torch, count, given.seconds) if count > 1 else {}),
    }
    print(json.dumps(medians(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
