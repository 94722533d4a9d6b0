"""Memory of streaming WMT14: the same for ten thousand pairs as for four and a half million?

    python -m benchmarks.corpora [--pairs 10000 100000 4500000] [--text FOLDER]

A stand-in for the Hugging Face hub on this machine serves the text in FOLDER (X.de and X.en, line by line
parallel), repeated to 4.5 million pairs in three files, to `load_wmt14`, which runs in a process of its
own for each size. It streams, shuffles and stores the pairs, then reads all of them once more from disk.
Memory is the resident set, whose peak Linux keeps; what is stored is thrown away. With --hub, the
hub itself is read instead, as a reader of the course would. The table is also written to
benchmarks/results/corpora.txt.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import describe
from tests.utils.loopback import Hub, serve
from utils.data import wmt14

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "corpora.txt"
TEXT = ROOT.parent / "shared" / "data" / "wmt14"
ALL = 4_508_785  # training pairs that the hub has
CARD = "---\nconfigs:\n- config_name: de-en\n  data_files:\n" + "".join(
    f"  - split: {split}\n    path: de-en/{split}-*\n" for split in ("train", "validation", "test")
)

CHILD = """
import json, sys, time
import datasets, pyarrow.parquet  # as large as they are: what is measured is what comes on top
from utils.data import load_wmt14

def memory(kind):
    with open("/proc/self/status") as facts:
        return next(int(line.split()[1]) / 1024 for line in facts if line.startswith(kind))

before = memory("VmRSS")
started = time.perf_counter()
corpus = load_wmt14(pairs=int(sys.argv[1]), progress=False)
loaded, after = time.perf_counter() - started, memory("VmRSS")
started = time.perf_counter()
letters = sum(len(src) + len(tgt) for src, tgt in zip(corpus["train"].src, corpus["train"].tgt))
print(json.dumps({
    "pairs": len(corpus["train"]), "letters": letters, "before": before, "after": after, "seconds": loaded,
    "read": time.perf_counter() - started, "at_end": memory("VmRSS"), "peak": memory("VmHWM"),
}))
"""


def sentences(folder, names="*"):
    """All sentence pairs of the files of a folder that have such names."""
    for path in sorted(folder.glob(f"{names}.de")):
        sides = [path.with_suffix(f".{language}").read_text("utf-8") for language in ("de", "en")]
        yield from zip(*(side.removesuffix("\n").split("\n") for side in sides), strict=True)


def write(path, pairs, count):
    """Write a Parquet file of `count` rows as the hub has them, repeating the pairs."""
    import pyarrow
    import pyarrow.parquet

    kind = pyarrow.struct([("de", pyarrow.string()), ("en", pyarrow.string())])
    rows = itertools.islice(
        itertools.cycle([dict(zip(("de", "en"), pair, strict=True)) for pair in pairs]), count
    )
    with pyarrow.parquet.ParquetWriter(path, pyarrow.schema([("translation", kind)])) as file:
        while group := list(itertools.islice(rows, 1_000)):
            file.write_table(pyarrow.table({"translation": pyarrow.array(group, kind)}))
    return path


def publish(text, folder, count):
    """Make the files of the stand-in: three of training pairs, which are one file, and the held-out ones."""
    pairs = list(sentences(text))
    third = write(folder / "train.parquet", pairs, -(-count // 3))
    files = {f"train-{number:05}-of-00003": third for number in range(3)}
    for split, size in wmt14.HELD_OUT.values():
        files[f"{split}-00000-of-00001"] = write(folder / f"{split}.parquet", pairs, size)
    return on_hub(files)


def on_hub(files):
    """What a stand-in for the hub serves as WMT14: its card, and Parquet files by their name."""
    return {"wmt/wmt14/README.md": (CARD + "---\n").encode()} | {
        f"wmt/wmt14/de-en/{name}.parquet": path for name, path in files.items()
    }


def measure(count, environment):
    """Load so many pairs in a process of its own: a dict of what that took."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"ATTENTION_DATA": folder, "HF_HOME": f"{folder}/home"} | environment
        command = [sys.executable, "-c", CHILD, str(count)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    return json.loads(done.stdout)


def table(rows):
    head = ["pairs", "M letters", "MB before", "MB after loading", "MB after reading", "MB at the peak"]
    lines = ["".join(f"{name:>18}" for name in [*head, "pairs/s streamed", "pairs/s read"])]
    for row in rows:
        cells = [f"{row['pairs']:,}", f"{row['letters'] / 1e6:,.0f}"]
        cells += [f"{row[name]:,.0f}" for name in ("before", "after", "at_end", "peak")]
        cells += [f"{row['pairs'] / row[name]:,.0f}" for name in ("seconds", "read")]
        lines.append("".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 4_500_000])
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--hub", action="store_true", help="read the real hub")
    args = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder, serve({}, Hub) as server:
        environment = {} if args.hub else {"HF_ENDPOINT": server.url, "NO_PROXY": "*"}
        if not args.hub:
            server.files = publish(args.text, Path(folder), min(ALL, max(args.pairs) * 3 // 2))
        for count in args.pairs:
            print(f"streaming {count:,} pairs", flush=True)
            rows.append(measure(count, environment))
    command = f"python -m benchmarks.corpora --pairs {' '.join(map(str, args.pairs))}{' --hub' * args.hub}"
    report = f"{describe()}\n{command}\n\n{table(rows)}\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report, "utf-8")
    print(f"\n{report}")


if __name__ == "__main__":
    main()
