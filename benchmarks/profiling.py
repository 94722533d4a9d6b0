"""Measure time and memory: matrix products, the parts of a step, fresh processes, resident memory."""

import ctypes
import gc
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.profiler import ProfilerActivity, profile

PARTS = {  # of a step's time, by the names of PyTorch's operations
    "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
    "softmax and loss": ("log_softmax", "softmax", "exp_", "scatter_add", "gather", "nll_loss"),
    "tanh and sigmoid": ("tanh", "sigmoid"),
    "adding and scaling": ("add", "sub", "mul", "div", "sum", "neg", "lerp"),
    "moving and clearing": ("copy", "fill", "cat", "zero", "index", "embedding"),
    "dropout": ("bernoulli", "dropout"),
    "clipping and Adam": ("fused_adam", "vector_norm", "foreach"),
    "choosing words": ("topk", "argmax", "unique", "sort", "nonzero"),
}


def wait_for(device):
    """Wait until a device has finished its work, so that the clock can be read."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(function, device=None):
    """Return the seconds that a call takes, its work on a device included."""
    wait_for(device)
    started = time.perf_counter()
    function()
    wait_for(device)
    return time.perf_counter() - started


def with_cpu_seconds(function, *args):
    """Call a function; return its result, and the processor time that this process has spent on it."""
    started = time.process_time()
    return function(*args), time.process_time() - started


def best_seconds(function, seconds=1.0, device=None):
    """Call a function again and again for some seconds, at least once; return the shortest time of a call."""
    end = time.perf_counter() + seconds
    best = timed(function, device)
    while time.perf_counter() < end:
        best = min(best, timed(function, device))
    return best


def matrix_product_flops(device, dtype=None, size=2048):
    """Return the floating-point operations per second of a square matrix product (float32 by default)."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / best_seconds(lambda: a @ b, device=device)


def multiplies_bf16():
    """Return whether the processor has instructions for bfloat16 matrix products (AMX or AVX-512)."""
    known = getattr(torch.cpu, "get_capabilities", dict)()  # older torch lacks it
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


def time_parts(step):
    """Return the share of a call's time that each of `PARTS` takes, largest first, then "else"."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    spent = dict.fromkeys(PARTS, 0.0)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    for event in events:
        name = event.key.removeprefix("aten::").lstrip("_")
        part = next((part for part, names in PARTS.items() if name.startswith(names)), None)
        if part and event.key.startswith("aten::"):
            spent[part] += event.self_cpu_time_total
    shares = {part: time / total for part, time in sorted(spent.items(), key=lambda pair: -pair[1])}
    return shares | {"else": 1 - sum(shares.values())}


def shares_in_words(parts):
    """Return the result of `time_parts` as one line, without shares below half a percent."""
    return ", ".join(f"{part} {share:.0%}" for part, share in parts.items() if share >= 0.005)


def fresh_process(function, *args):
    """Call a module's function in a new Python process; return its result or raise its error."""
    context = multiprocessing.get_context("spawn")  # a fork would start with everything loaded here
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def resident_memory():
    """Return this process's resident memory in bytes, after freeing what can be freed (Linux)."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # otherwise freed memory stays in the process, and its reuse is invisible
    return resident("VmRSS")


def peak_memory(function):
    """Return by how many MB this process's resident memory grows at its peak during a call (Linux)."""
    resident_memory()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # reset the peak to the current size
    before = resident("VmRSS")
    function()
    return (resident("VmHWM") - before) / 2**20


def resident(kind):
    """Return the resident memory in bytes: now (VmRSS) or at its peak (VmHWM)."""
    with open("/proc/self/status") as facts:
        return next(int(line.split()[1]) * 1024 for line in facts if line.startswith(kind))
