"""OpenSubtitles: movie subtitles in many languages, from OPUS."""

import io
import os
import re
import zipfile
import zlib
from contextlib import ExitStack
from itertools import zip_longest
from urllib.parse import urlsplit

from utils.data import download
from utils.data.corpus import Corpus, Split
from utils.data.download import DataError, explain
from utils.data.store import Lines, cached_pairs, clean_pairs, describe

URL = "https://object.pouta.csc.fi/OPUS-OpenSubtitles"
PAIRS = {"v1": None, "v2018": 50_000}  # version: default number of training pairs, None for all
TEST = VALID = 1_000  # pairs: the first ones of the corpus, and the next ones
MAX_LINE = 2**16  # bytes per line, after which the rest is skipped
WRONG_FORMAT = zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError


def load_opensubtitles(src="de", tgt="en", pairs=None, version="v2018", progress=True):
    """Load the start of OpenSubtitles between two languages as a `Corpus` of raw text.

    The first 1,000 pairs are "test", the next 1,000 "valid", and the next `pairs` are "train" (default:
    50,000 of version "v2018", which has 22.5 million in German and English, and all of the small "v1").
    Subtitles repeat, so training pairs that are also in "test" or "valid" are left out. So are pairs with a
    side that is empty, not UTF-8 or longer than 2,000 characters. The notes of the corpus count them.

    OPUS's zip files are downloaded only as far as needed, by range requests. The text is cached, and the
    sentences of "train" stay on disk. The environment variable ATTENTION_OPUS_URL names a mirror.

    Raises ValueError for an unknown version, malformed or equal language codes or fewer pairs than one, and
    DataError if the data is unavailable. Lison and Tiedemann 2016.
    """
    if version not in PAIRS:
        raise ValueError(f"expected version {' or '.join(PAIRS)} of OpenSubtitles, got {version!r}")
    for language in (src, tgt):
        if not re.fullmatch(r"[a-z]{2,3}(_[a-z]{2})?", language):
            raise ValueError(f'expected a language code such as "de" or "pt_br", got {language!r}')
    if src == tgt:
        raise ValueError(f"expected two different languages, got {src!r} twice")
    if pairs is not None and pairs < 1:
        raise ValueError(f"expected 1 or more training pairs, got pairs={pairs}")
    pairs = pairs or PAIRS[version]
    languages = sorted((src, tgt))
    name = f"opensubtitles/{version}-{'-'.join(languages)}-{pairs or 'all'}"
    folder, left_out = cached_pairs(
        name,
        languages,
        lambda left_out: _pairs(version, languages, pairs, left_out),
        pairs and TEST + VALID + pairs,
        progress,
    )
    bounds = {"train": (TEST + VALID, None), "valid": (TEST, TEST + VALID), "test": (0, TEST)}
    sides = {
        split: [Lines(folder / f"{language}.txt", *rows) for language in (src, tgt)]
        for split, rows in bounds.items()
    }
    return Corpus(
        name=f"OpenSubtitles {version}",
        src_lang=src,
        tgt_lang=tgt,
        splits={
            split: Split(*both) if split == "train" else Split(*map(list, both))
            for split, both in sides.items()
        },
        tokenization="moses",
        license=(
            "none given; OPUS asks for a link to https://www.opensubtitles.org/ wherever the data is used: "
            "do not redistribute"
        ),
        citation=(
            "Lison and Tiedemann (2016), OpenSubtitles2016: Extracting Large Parallel Corpora from Movie and "
            "TV Subtitles, 10th Conference on Language Resources and Evaluation"
        ),
        home="https://opus.nlpl.eu/OpenSubtitles",
        notes=f"the start of the corpus, in its order; left out: {describe(left_out) or 'none'}",
    )


def _pairs(version, languages, pairs, left_out):
    """Yield the pairs of test, valid and train, in this order."""
    count, held_out, train = 0, set(), 0
    for pair in clean_pairs(_stream(version, languages), left_out, "OPUS"):
        if count < TEST + VALID:
            count += 1
            held_out.add(pair)
        elif pair in held_out:
            left_out["of a pair that test or valid has too"] += 1
            continue
        else:
            train += 1
        yield pair
        if train == pairs:
            return
    if not train:
        raise DataError(
            f"OpenSubtitles {version} has too few pairs in {' and '.join(languages)} for training: choose "
            f"other languages or another version"
        )


def _stream(version, languages):
    """Yield the line pairs of a version as bytes, and download them as they are consumed."""
    import urllib3
    from remotezip import RangeNotSupported, RemoteZip, RemoteZipError

    pair = "-".join(languages)
    base = (os.environ.get("ATTENTION_OPUS_URL") or URL).rstrip("/")
    url = f"{base}/{version}/moses/{pair}.txt.zip"
    try:
        with ExitStack() as stack:
            sides = []
            for language in languages:  # two readers, because each reads one member at a time
                archive = stack.enter_context(
                    RemoteZip(url, headers={"Accept-Encoding": "identity"}, timeout=download.TIMEOUT)
                )
                names = [name for name in archive.namelist() if name.endswith(f".{pair}.{language}")]
                if len(names) != 1:
                    raise zipfile.BadZipFile(f"no text in {language} among {archive.namelist()[:5]}")
                sides.append(_lines(stack.enter_context(archive.open(names[0]))))
            for both in zip_longest(*sides):
                if None in both:
                    raise DataError(
                        f"the two sides of {url} have different numbers of lines: choose another version "
                        f"of the corpus, or get the newest version of this course"
                    )
                yield both
    except RangeNotSupported as error:
        raise DataError(
            f"OpenSubtitles could not be downloaded because {urlsplit(url).hostname} does not support range "
            "requests: correct or unset ATTENTION_OPUS_URL, then run this again"
        ) from error
    except (OSError, RemoteZipError, urllib3.exceptions.HTTPError, *WRONG_FORMAT) as error:
        found = {404: "choose two languages that OPUS has in this version"}
        reason, advice = explain(error, url, f"format of OpenSubtitles ({error})", found)
        raise DataError(f"OpenSubtitles could not be downloaded because {reason}: {advice}") from error


def _lines(member):
    """Yield the lines of a file in a zip, cut after `MAX_LINE` bytes, so a long line needs no memory."""
    file = io.BufferedReader(member, MAX_LINE)
    while line := file.readline(MAX_LINE):
        yield line.removesuffix(b"\n")
        while not line.endswith(b"\n") and (line := file.readline(MAX_LINE)):
            pass
