"""WMT14, German and English: Parliament, web pages and news, streamed from the Hugging Face hub."""

import os
from contextlib import closing
from itertools import islice

from utils.data.corpus import Corpus, Split
from utils.data.download import LOG_IN_PAGE, DataError, cache_folder, explain_status, explain_stop
from utils.data.store import Lines, reasons, stored, usable

REPOSITORY = "wmt/wmt14"
COMMIT = "b199e406369ec1b7634206d3ded5ba45de2fe696"
HELD_OUT = {"valid": ("validation", 3_000), "test": ("test", 3_003)}  # newstest2013 and newstest2014
LANGUAGES = ("de", "en")
BUFFER = 10_000  # pairs from which the next ones are drawn


def load_wmt14(src="de", tgt="en", pairs=100_000, seed=0, progress=True):
    """Load `pairs` training pairs of WMT14, and all of newstest2013 (valid) and newstest2014 (test).

    The training pairs are drawn, by `seed`, from a buffer that all files of the training split fill in
    turn, so that they do not come from one source alone; but what lies late in a file comes only with
    many pairs, and all of it with all 4.5 million. Pairs with a side that is empty or of more than 2,000
    characters are left out, and the notes of the corpus say how many.

    Little more than what is asked for is streamed, and kept in the cache folder, each choice of pairs and
    seed by itself: the sentences of "train" stay on disk and take no memory. The environment variable
    HF_TOKEN is a Hugging Face token, which readers do not need but which has a higher limit of requests;
    HF_ENDPOINT names a mirror of the hub.

    A language other than de and en, fewer pairs than one or a negative seed is a ValueError, and data
    that cannot be had a DataError. The corpus is of Bojar et al. (2014).
    """
    if {src, tgt} != set(LANGUAGES):
        raise ValueError(
            f'WMT14 is loaded from "de" into "en" or from "en" into "de", not {src!r} into {tgt!r}'
        )
    if pairs < 1:
        raise ValueError(f"pairs is the number of training pairs, 1 or more, and not {pairs}")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is a whole number, 0 or more, and not {seed!r}")
    chosen = f"train-{pairs}-seed-{seed}"
    folder, left_out = _stored(chosen, "train", pairs, seed, progress)
    splits = {"train": Split(*(Lines(folder / f"{language}.txt") for language in (src, tgt)))}
    for name, (split, count) in HELD_OUT.items():
        folder, _ = _stored(name, split, count, None, progress)
        sides = [list(Lines(folder / f"{language}.txt")) for language in (src, tgt)]
        splits[name] = Split(*sides)
    return Corpus(
        name="WMT14",
        src_lang=src,
        tgt_lang=tgt,
        splits=splits,
        tokenization="moses",
        licence=(
            "none given on the hub; WMT lets its data be used for research and asks that its paper be cited: "
            "do not redistribute"
        ),
        citation=(
            "Bojar et al. (2014), Findings of the 2014 Workshop on Statistical Machine Translation, 9th "
            "Workshop on Statistical Machine Translation"
        ),
        home=f"https://huggingface.co/datasets/{REPOSITORY}",
        notes=f"training pairs drawn with seed {seed}; left out: {reasons(left_out) or 'none'}",
    )


def _stored(name, split, pairs, seed, progress):
    """Return the folder of a split's text and what was left out, streaming it from the hub if need be."""

    def read(left_out):
        count = 0
        with closing(_stream(split, seed)) as stream:
            # One more than there should be of a held-out split would be seen.
            for pair in islice(usable(stream, left_out, "the hub"), pairs + (name in HELD_OUT)):
                yield pair
                count += 1
        if name in HELD_OUT and count != pairs:
            raise DataError(
                f"WMT14's {split} split does not have {pairs:,} sentence pairs that can be used: what the "
                f"hub offers has changed, so get the newest version of this course"
            )

    return stored(f"wmt14/{name}", LANGUAGES, read, pairs, progress)


def _stream(split, seed):
    """Yield the sentence pairs of a split as bytes, German first, shuffled if there is a seed."""
    import datasets  # takes seconds to import, and only this needs it

    if datasets.config.HF_HUB_OFFLINE:
        raise DataError(
            "WMT14 could not be streamed because HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set: unset it, "
            "then run this again"
        )
    try:
        cache = str(cache_folder() / "wmt14" / "hub")
        builder = datasets.load_dataset_builder(REPOSITORY, "de-en", revision=COMMIT, cache_dir=cache)
        files = {"files": list(builder.config.data_files[split])}
        rows = datasets.IterableDataset.from_generator(_rows, gen_kwargs=files)
        if seed is not None:
            rows = rows.shuffle(seed, buffer_size=BUFFER)
        for row in rows:
            yield tuple(row[language] for language in LANGUAGES)
    except Exception as error:  # the hub's libraries raise errors of a dozen kinds
        reason, advice = _explain(error)
        raise DataError(f"WMT14 could not be streamed because {reason}: {advice}") from error


def _rows(files):
    """Yield the rows of Parquet files on the hub, some thousand of which are in memory at a time.

    The reader of `datasets` decodes up to a gigabyte of each file ahead of a reader who is slower.
    """
    import pyarrow.parquet
    from huggingface_hub import HfFileSystem

    for name in files:
        with HfFileSystem().open(name) as file:
            for batch in pyarrow.parquet.ParquetFile(file, pre_buffer=False).iter_batches(1_000):
                # As bytes: Arrow does not promise that its text is UTF-8.
                sides = [batch["translation"].field(side).cast(pyarrow.binary()) for side in LANGUAGES]
                for pair in zip(*(side.to_pylist() for side in sides), strict=True):
                    yield dict(zip(LANGUAGES, pair, strict=True))


def _explain(error):
    """Say why the hub did not give the data and what to do about it, from an error and its causes."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    # The HTTP library's names, since which library the hub's client uses depends on its version.
    kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    response = next(
        (found for cause in causes if (found := getattr(cause, "response", None)) is not None), None
    )
    if response is not None and response.status_code >= 400:
        status = response.status_code
        reason, advice = explain_status(hub, status, response.reason_phrase)
        if status == 429:
            advice = (
                "that is its limit of requests, so wait five minutes or set HF_TOKEN to a token of a free "
                "Hugging Face account, which has a higher limit, then run this again"
            )
        elif status in (401, 403):
            advice = "correct or unset HF_TOKEN, then run this again"
        return reason, advice
    if kinds & {"ReadError", "ReadTimeout", "RemoteProtocolError"}:
        return explain_stop(hub)
    if kinds & {"TransportError", "ConnectionError", "TimeoutError"}:
        return f"{hub} cannot be reached", "check your internet connection, then run this again"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"what {hub} sent is not WMT14 as this course knows it ({said})", LOG_IN_PAGE
