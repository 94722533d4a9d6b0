"""OpenSubtitles: what people say in films, in many pairs of languages, from OPUS."""

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
from utils.data.download import LOG_IN_PAGE, DataError, explain, explain_stop
from utils.data.store import Lines, reasons, stored, usable

URL = "https://object.pouta.csc.fi/OPUS-OpenSubtitles"
PAIRS = {"v1": None, "v2018": 50_000}  # how many training pairs of a version are loaded unless told
TEST = VALID = 1_000  # the first pairs of a corpus, and those after them
LINE = 2**16  # bytes; what a longer line has beyond them is skipped


def load_opensubtitles(src="de", tgt="en", pairs=None, version="v2018", progress=True):
    """Load the first part of OpenSubtitles between two languages, as a Corpus of raw text.

    The first 1,000 pairs are "test", the next 1,000 "valid" and the `pairs` after them "train": 50,000
    of version "v2018" (German-English has 22.5 million) unless told, and all there are of the small
    "v1". A training pair that "test" or "valid" has too is left out, because subtitles repeat; so are
    pairs with a side that is empty, not UTF-8 or of more than 2,000 characters. The notes of the corpus
    say how many.

    OPUS's zip files are read from their server only as far as needed, by range requests. The text is
    kept in the cache folder, where the sentences of "train" stay and take no memory. The environment
    variable ATTENTION_OPUS_URL names a mirror.

    A version that does not exist, codes that name no two languages or fewer pairs than one are a
    ValueError, and data that cannot be had a DataError. The corpus is of Lison and Tiedemann (2016).
    """
    if version not in PAIRS:
        raise ValueError(f"OpenSubtitles is loaded in version {' or '.join(PAIRS)}, and not {version!r}")
    for language in (src, tgt):
        if not re.fullmatch(r"[a-z]{2,3}(_[a-z]{2})?", language):
            raise ValueError(f'a language is a code such as "de" or "pt_br", and not {language!r}')
    if src == tgt:
        raise ValueError(f"src and tgt are both {src!r}: choose two different languages")
    if pairs is not None and pairs < 1:
        raise ValueError(f"pairs is the number of training pairs, 1 or more, and not {pairs}")
    pairs = pairs or PAIRS[version]
    languages = sorted((src, tgt))
    name = f"opensubtitles/{version}-{'-'.join(languages)}-{pairs or 'all'}"
    folder, left_out = stored(
        name,
        languages,
        lambda left_out: _pairs(version, languages, pairs, left_out),
        pairs and TEST + VALID + pairs,
        progress,
    )
    parts = {"train": (TEST + VALID, None), "valid": (TEST, TEST + VALID), "test": (0, TEST)}
    sides = {
        split: [Lines(folder / f"{language}.txt", *rows) for language in (src, tgt)]
        for split, rows in parts.items()
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
        licence=(
            "none given; OPUS asks for a link to https://www.opensubtitles.org/ wherever the data is used: "
            "do not redistribute"
        ),
        citation=(
            "Lison and Tiedemann (2016), OpenSubtitles2016: Extracting Large Parallel Corpora from Movie and "
            "TV Subtitles, 10th Conference on Language Resources and Evaluation"
        ),
        home="https://opus.nlpl.eu/OpenSubtitles",
        notes=f"the first part of the corpus, in its order; left out: {reasons(left_out) or 'none'}",
    )


def _pairs(version, languages, pairs, left_out):
    """Yield the pairs of test, valid and train, in this order."""
    held_out, seen, train = 0, set(), 0
    for pair in usable(_stream(version, languages), left_out, "OPUS"):
        if held_out < TEST + VALID:
            held_out += 1
            seen.add(pair)
        elif pair in seen:
            left_out["of a pair that test or valid has too"] += 1
            continue
        else:
            train += 1
        yield pair
        if train == pairs:
            return
    if not train:
        raise DataError(
            f"OpenSubtitles {version} has too few pairs of {' and '.join(languages)} to learn from: choose "
            f"other languages or another version"
        )


def _stream(version, languages):
    """Yield the line pairs of a version as bytes, downloading no more than what is asked for."""
    import requests
    import urllib3
    from remotezip import RemoteZip, RemoteZipError

    pair = "-".join(languages)
    base = (os.environ.get("ATTENTION_OPUS_URL") or URL).rstrip("/")
    url = f"{base}/{version}/moses/{pair}.txt.zip"
    try:
        with ExitStack() as stack:
            sides = []
            for language in languages:  # each in a reader of its own, which reads one member at a time
                archive = stack.enter_context(
                    RemoteZip(url, headers={"Accept-Encoding": "identity"}, timeout=download.TIMEOUT)
                )
                names = [name for name in archive.namelist() if name.endswith(f".{pair}.{language}")]
                if len(names) != 1:
                    raise zipfile.BadZipFile(f"no text of {language} among {archive.namelist()[:5]}")
                sides.append(_lines(stack.enter_context(archive.open(names[0]))))
            for both in zip_longest(*sides):
                if None in both:
                    raise DataError(
                        f"the two sides of {url} do not have the same number of lines: choose another "
                        f"version of the corpus, or get the newest version of this course"
                    )
                yield both
    except (requests.RequestException, urllib3.exceptions.HTTPError, RemoteZipError, OSError) as error:
        reason, advice = _explain(error, url)
        raise DataError(f"OpenSubtitles could not be downloaded because {reason}: {advice}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise DataError(
            f"what {url} gave is not OpenSubtitles as this course knows it ({error}): {LOG_IN_PAGE}"
        ) from error


def _lines(member):
    """Yield the lines of a file of a zip; a line longer than LINE is cut, and not read into memory."""
    file = io.BufferedReader(member, LINE)
    while line := file.readline(LINE):
        yield line.removesuffix(b"\n")
        while not line.endswith(b"\n") and (line := file.readline(LINE)):
            pass


def _explain(error, url):
    """Say why OPUS did not give the data and what to do about it."""
    import requests
    from remotezip import RangeNotSupported, RemoteIOError

    cause = error.__context__ if isinstance(error, RemoteIOError) and error.__context__ else error
    host = urlsplit(url).hostname
    if isinstance(cause, requests.HTTPError) and cause.response.status_code == 404:
        return (
            f"{url} answered 404 ({cause.response.reason})",
            "choose two languages that OPUS has in this version",
        )
    if isinstance(cause, RangeNotSupported):
        return (
            f"{host} does not give parts of files",
            "correct or unset ATTENTION_OPUS_URL, then run this again",
        )
    if isinstance(cause, requests.RequestException):
        return explain(cause, url, None)
    return explain_stop(host)
