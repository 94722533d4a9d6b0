"""Memory of streaming WMT14: does it stay the same from ten thousand to four and a half million pairs?

    python -m benchmarks.speed.streaming [--pairs 10000 100000 4500000] [--text FOLDER]

Files on this machine stand in for those of the Hugging Face hub. They have the text in FOLDER (X.de and X.en,
line by line parallel), repeated to 4.5 million pairs in three files. For each size a new process runs
`load_wmt14`, which streams, shuffles and stores the pairs, and reads all of them once more from disk. Memory
is the resident memory and its peak (Linux). The stored pairs are deleted afterwards.
"""

import itertools
import os
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import ROOT
from benchmarks.profiling import fresh_process, resident
from utils.data import wmt14

TEXT = ROOT.parent / "shared" / "data" / "wmt14"
ALL = 4_508_785  # training pairs on the hub
COLUMNS = ("before", "after loading", "after reading", "at the peak")


def sentences(folder, names="*"):
    """Yield all sentence pairs of a folder's files whose names match."""
    for path in sorted(folder.glob(f"{names}.de")):
        sides = [path.with_suffix(f".{language}").read_text("utf-8") for language in ("de", "en")]
        yield from zip(*(side.removesuffix("\n").split("\n") for side in sides), strict=True)


def write(path, pairs, count):
    """Write a Parquet file of `count` rows in the hub's format, repeating the pairs."""
    import pyarrow
    import pyarrow.parquet

    kind = pyarrow.struct([("de", pyarrow.string()), ("en", pyarrow.string())])
    rows = itertools.cycle([dict(zip(("de", "en"), pair, strict=True)) for pair in pairs])
    rows = itertools.islice(rows, count)
    with pyarrow.parquet.ParquetWriter(path, pyarrow.schema([("translation", kind)])) as file:
        while group := list(itertools.islice(rows, 1_000)):
            file.write_table(pyarrow.table({"translation": pyarrow.array(group, kind)}))
    return path


def publish(text, folder, count):
    """Write what the hub has: three times the same file of training pairs, and held-out splits."""
    pairs = list(sentences(text))
    third = write(folder / "train-00000-of-00003.parquet", pairs, -(-count // 3))
    for number in (1, 2):
        third.with_name(f"train-{number:05}-of-00003.parquet").symlink_to(third)
    for split, size in wmt14.HELD_OUT.values():
        write(folder / f"{split}-00000-of-00001.parquet", pairs, size)


def load(pairs, files, folder):
    """Load so many pairs into a cache folder; return memory in MB and seconds. Call it in a new process."""
    os.environ |= {"ATTENTION_DATA": folder, "HF_HOME": f"{folder}/home"}
    for name in ("datasets", "pyarrow.parquet"):  # only growth beyond these libraries counts
        import_module(name)
    import huggingface_hub

    local = import_module("fsspec.implementations.local")  # the hub's file system is one of fsspec, too
    wmt14.FILES, huggingface_hub.HfFileSystem = f"{files}/{{split}}-*", local.LocalFileSystem
    memory, started = [resident("VmRSS")], time.perf_counter()
    train = wmt14.load_wmt14(pairs=pairs, progress=False)["train"]
    memory, loaded = [*memory, resident("VmRSS")], time.perf_counter()
    letters = sum(len(src) + len(tgt) for src, tgt in zip(train.src, train.tgt, strict=True))
    seconds = {"seconds": loaded - started, "read": time.perf_counter() - loaded}
    memory += [resident("VmRSS"), resident("VmHWM")]
    sizes = {"loaded": len(train), "letters": letters, "MB": [size / 2**20 for size in memory]}
    return sizes | seconds


def measure(pairs, files):
    """Load so many pairs in a new process, from the files of a folder."""
    with tempfile.TemporaryDirectory() as folder:
        return fresh_process(load, pairs, files, folder)


def table(record):
    """Return a line of text per number of pairs."""
    head = ["pairs", "M letters", *(f"MB {column}" for column in COLUMNS), "pairs/s streamed", "pairs/s read"]
    lines = ["".join(f"{name:>18}" for name in head)]
    for run in record["runs"]:
        cells = [f"{run['loaded']:,}", f"{run['letters'] / 1e6:,.0f}"]
        cells += [f"{size:,.0f}" for size in run["MB"]]
        cells += [f"{run['loaded'] / run[key]:,.0f}" for key in ("seconds", "read")]
        lines.append("".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    sizes = [10_000, 100_000, 4_500_000]
    parser.add_argument("--pairs", type=int, nargs="+", default=sizes, help="training pairs per process")
    parser.add_argument("--text", type=Path, default=TEXT, help="folder of parallel text to serve")
    args = parser.parse_args()
    jobs = [{"pairs": pairs} for pairs in args.pairs]
    with tempfile.TemporaryDirectory() as folder:
        publish(args.text, Path(folder), min(ALL, max(args.pairs) * 3 // 2))
        harness.run(args, partial(measure, files=folder), jobs, table)


if __name__ == "__main__":
    main()
