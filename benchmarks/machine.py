"""What a measurement ran on, how fast that machine multiplies matrices, and where the time of a call goes."""

import ctypes
import datetime
import gc
import multiprocessing
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.profiler import ProfilerActivity, profile

PARTS = {  # of a step's time, by how PyTorch calls its operations
    "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
    "softmax and loss": ("log_softmax", "softmax", "exp_", "scatter_add", "gather", "nll_loss"),
    "tanh and sigmoid": ("tanh", "sigmoid"),
    "adding and scaling": ("add", "sub", "mul", "div", "sum", "neg", "lerp"),
    "moving and clearing": ("copy", "fill", "cat", "zero", "index", "embedding"),
    "dropout": ("bernoulli", "dropout"),
    "clipping and Adam": ("fused_adam", "vector_norm", "foreach"),
    "choosing words": ("topk", "argmax", "unique", "sort", "nonzero"),
}


def describe():
    """One line: date, processor, threads, Python and torch."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return (
        f"{datetime.date.today()}, {model}, {torch.get_num_threads()} threads of {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def wait_for(device):
    """Wait until a device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_product_flops(device, dtype=None, size=2048, seconds=1.0):
    """Floating-point operations a second in square matrix products, of float32 unless told: the best seen."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait_for(device)
        started = time.perf_counter()
        a @ b
        wait_for(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def multiplies_bf16():
    """Whether the processor has instructions for products of bfloat16 matrices (Intel's AMX)."""
    known = getattr(torch.cpu, "get_capabilities", dict)()  # of newer torch
    return bool(known.get("amx_bf16"))


def time_parts(step):
    """Where the time of a call goes: the share of each of PARTS, largest first, and of the rest."""
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        step()
    spent = dict.fromkeys(PARTS, 0.0)
    events = watched.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    for event in events:
        name = event.key.removeprefix("aten::").lstrip("_")
        part = next((part for part, names in PARTS.items() if name.startswith(names)), None)
        if part and event.key.startswith("aten::"):
            spent[part] += event.self_cpu_time_total
    shares = {part: time / total for part, time in sorted(spent.items(), key=lambda pair: -pair[1])}
    return shares | {"else": 1 - sum(shares.values())}


def shares_in_words(parts):
    """What `time_parts` gives, in a line, without what takes no half of a hundredth."""
    return ", ".join(f"{part} {share:.0%}" for part, share in parts.items() if share >= 0.005)


def fresh_process(function, *args):
    """Call a function of a module in a Python process of its own, and give what it gives, or its error."""
    context = multiprocessing.get_context("spawn")  # a fork would begin with what is loaded here
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def resident_memory():
    """Bytes of this process's resident set without what was freed (Linux)."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # else memory that was freed and kept would be used without being seen
    return _resident("VmRSS")


def peak_memory(function):
    """MB by which the resident set of this process grows at its peak while a function runs (Linux)."""
    resident_memory()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew at what is resident now
    before = _resident("VmRSS")
    function()
    return (_resident("VmHWM") - before) / 2**20


def _resident(kind):
    """Bytes of the resident set: now (VmRSS) or at its peak (VmHWM)."""
    with open("/proc/self/status") as facts:
        return next(int(line.split()[1]) * 1024 for line in facts if line.startswith(kind))
