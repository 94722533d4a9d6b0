"""WMT14 in German and English: parliament, web pages and news, streamed from the Hugging Face hub."""

import os
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

from utils.data.corpus import Corpus, Split
from utils.data.download import DataError, explain
from utils.data.store import Lines, cached_pairs, clean_pairs, describe

REPOSITORY = "wmt/wmt14"
FILES = f"datasets/{REPOSITORY}@b199e406369ec1b7634206d3ded5ba45de2fe696/de-en/{{split}}-*.parquet"
HELD_OUT = {"valid": ("validation", 3_000), "test": ("test", 3_003)}  # newstest2013 and newstest2014
TRAIN = "train-{pairs}-seed-{seed}"  # the name of stored training pairs
LANGUAGES = ("de", "en")
LOCK = Path(__file__).resolve().parents[2] / "requirements-tests.txt"
BUFFER = 10_000  # pairs in the shuffle buffer
ADVICE = {  # for some answers of the hub
    **dict.fromkeys((401, 403), "correct or unset HF_TOKEN, then run this again"),
    429: "wait five minutes, or set HF_TOKEN to a token of a free Hugging Face account, which has a higher "
    "limit of requests, then run this again",
}


def load_wmt14(src="de", tgt="en", pairs=100_000, seed=0, progress=True):
    """Load `pairs` training pairs of WMT14, and all of newstest2013 ("valid") and newstest2014 ("test").

    Training pairs are shuffled, by `seed`, in a buffer that all files of the training split fill in turn. So
    they come from every source, but mostly from the start of its files, unless `pairs` is close to the full
    4.5 million. Pairs with a side that is empty or longer than 2,000 characters are left out. The notes of
    the corpus count them.

    Little more than these pairs is downloaded. They are cached, separately for each `pairs` and `seed`, and
    the sentences of "train" stay on disk. The environment variable HF_TOKEN, a Hugging Face token, raises
    the limit of requests, and HF_ENDPOINT names a mirror of the hub.

    Raises ValueError for languages other than "de" and "en", fewer pairs than one or a negative seed, and
    DataError if the data is unavailable. Bojar et al. 2014.
    """
    if {src, tgt} != set(LANGUAGES):
        raise ValueError(f'expected "de" to "en" or "en" to "de", got {src!r} to {tgt!r}')
    if pairs < 1:
        raise ValueError(f"expected 1 or more training pairs, got pairs={pairs}")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"expected an integer seed of 0 or more, got {seed!r}")
    folder, left_out = _cached(TRAIN.format(pairs=pairs, seed=seed), "train", pairs, seed, progress)
    splits = {"train": Split(*(Lines(folder / f"{language}.txt") for language in (src, tgt)))}
    for name, (split, count) in HELD_OUT.items():
        folder, _ = _cached(name, split, count, None, progress)
        sides = [list(Lines(folder / f"{language}.txt")) for language in (src, tgt)]
        splits[name] = Split(*sides)
    return Corpus(
        name="WMT14",
        src_lang=src,
        tgt_lang=tgt,
        splits=splits,
        tokenization="moses",
        license=(
            "none given on the hub; WMT lets its data be used for research and asks that its paper be cited: "
            "do not redistribute"
        ),
        citation=(
            "Bojar et al. (2014), Findings of the 2014 Workshop on Statistical Machine Translation, 9th "
            "Workshop on Statistical Machine Translation"
        ),
        home=f"https://huggingface.co/datasets/{REPOSITORY}",
        notes=f"training pairs drawn with seed {seed}; left out: {describe(left_out) or 'none'}",
    )


def _cached(name, split, pairs, seed, progress):
    """Return the folder of a split's text and the pairs left out, from the cache or from the hub."""

    def read(left_out):
        count = 0
        with closing(_stream(split, seed)) as stream:
            # Read one pair too many of a held-out split, to notice if it has grown.
            for pair in islice(clean_pairs(stream, left_out, "the hub"), pairs + (name in HELD_OUT)):
                yield pair
                count += 1
        if name in HELD_OUT and count != pairs:
            raise DataError(
                f"the {split} split of WMT14 does not have the expected {pairs:,} sentence pairs: the data "
                f"on the hub has changed, so get the newest version of this course"
            )

    return cached_pairs(f"wmt14/{name}", LANGUAGES, read, pairs, progress)


def _stream(split, seed):
    """Yield the sentence pairs of a split as bytes, German first, shuffled if there is a seed."""
    try:
        import datasets  # slow to import, and the students' install leaves it out
        from huggingface_hub import HfFileSystem
    except ImportError as error:
        pinned = f"--constraint {LOCK} " if LOCK.is_file() else ""  # a wheel has no lock
        raise DataError(
            f"WMT14 could not be streamed because a package is not installed: run `{sys.executable} -m pip "
            f"install {pinned}datasets`, then run this again"
        ) from error

    if datasets.config.HF_HUB_OFFLINE:
        raise DataError(
            "WMT14 could not be streamed because HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set: unset it, "
            "then run this again"
        )
    try:
        files = sorted(HfFileSystem().glob(FILES.format(split=split)))
        if not files:
            raise FileNotFoundError(f"no files of the {split} split")
        rows = datasets.IterableDataset.from_generator(_rows, gen_kwargs={"files": files})
        if seed is not None:
            rows = rows.shuffle(seed, buffer_size=BUFFER)
        for row in rows:
            yield tuple(row[language] for language in LANGUAGES)
    except Exception as error:  # the hub's libraries raise a dozen types of errors
        hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        message = " ".join(f"{type(error).__name__}: {error}".split())
        reason, advice = explain(error, hub, f"format of WMT14 ({message})", ADVICE)
        raise DataError(f"WMT14 could not be streamed because {reason}: {advice}") from error


def _rows(files):
    """Yield the rows of Parquet files on the hub, with about a thousand rows in memory at a time.

    The reader of `datasets` would decode up to a gigabyte of each file in advance.
    """
    import pyarrow.parquet
    from huggingface_hub import HfFileSystem

    for name in files:
        with HfFileSystem().open(name) as file:
            for batch in pyarrow.parquet.ParquetFile(file, pre_buffer=False).iter_batches(1_000):
                # Bytes, because Arrow does not guarantee that its strings are UTF-8.
                sides = [batch["translation"].field(side).cast(pyarrow.binary()) for side in LANGUAGES]
                for pair in zip(*(side.to_pylist() for side in sides), strict=True):
                    yield dict(zip(LANGUAGES, pair, strict=True))
