"""Downloads of public files: cached, verified by checksum, with readable errors."""

import errno
import os
from contextlib import contextmanager
from http.client import responses
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from tqdm.auto import tqdm

TIMEOUT = 30  # seconds without a byte after which a server counts as stalled
# Names of errors, because the types belong to several libraries, which are slow to import.
INTERRUPTED = {
    "ChunkedEncodingError", "ProtocolError", "ReadError", "ReadTimeout", "ReadTimeoutError",
    "RemoteProtocolError",
}  # fmt: skip
UNREACHABLE = {"ConnectionError", "ConnectTimeout", "NewConnectionError", "TransportError", "TimeoutError"}
INVALID = {"InvalidSchema", "InvalidURL", "MissingSchema"}

pooch.get_logger().setLevel("WARNING")  # the progress bar is enough


class DataError(RuntimeError):
    """Data is unavailable. The message is one sentence that says why and what to do."""


def cache_folder():
    """Return the folder for downloads: ATTENTION_DATA if set, else the user's cache folder."""
    return Path(os.environ.get("ATTENTION_DATA") or pooch.os_cache("attention-course")).expanduser()


def fetch(name, url, sha256, folder="", progress=True):
    """Download `url` to the file `name` unless it is cached, and return its path.

    `sha256` is the checksum of the file, and `folder` is relative to the cache folder. A file with the right
    checksum needs no network, and any other file is replaced. Several processes may fetch a file at once:
    each downloads to a temporary file, which is renamed once it is complete.

    Raises DataError, chained to its cause, if the network, the server, the checksum or the disk fails. A
    download that fails or is interrupted leaves no file behind.
    """
    import requests  # slow to import

    folder = cache_folder() / folder

    def download(url, path, pooch_):
        # tqdm needs a total to count as true. pooch replaces it.
        with tqdm(desc=name, total=1, unit="B", unit_scale=True, disable=not progress) as bar:
            headers = {"Accept-Encoding": "identity"}  # the checksum is that of the stored bytes
            pooch.HTTPDownloader(bar, chunk_size=2**16, timeout=TIMEOUT, headers=headers)(url, path, pooch_)
        os.chmod(path, 0o644)  # pooch's temporary file is private, but a class may share one folder

    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=download))
    except (requests.RequestException, OSError, ValueError) as error:
        reason, advice = explain(error, url, "checksum", folder=folder)
        raise DataError(f"{name} could not be downloaded because {reason}: {advice}") from error


def explain(error, address, expected, advice=None, folder=None):
    """Return why a download from `address` failed, and what to do about it.

    `expected` is what the data lacks if nothing else is wrong, such as "checksum". `advice` says what to do
    for some HTTP statuses. With `folder`, any other OSError is one of its disk.
    """
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    answers = [answer for cause in causes if (answer := getattr(cause, "response", None)) is not None]
    host, status = urlsplit(address).hostname, answers[0].status_code if answers else 0
    if status >= 400:
        usual = "check that address, or get the newest version of this course"
        if status == 429 or status >= 500:
            usual = "wait a few minutes, then run this again"
        reason = f"{address} answered {status} ({responses.get(status, 'unknown')})"
        return reason, (advice or {}).get(status, usual)
    if kinds & INTERRUPTED:
        reason = f"{host} stopped before the end of the file"
        return reason, "check your internet connection, then run this again"
    if kinds & INVALID:
        return f"{address} is not a valid address", "correct that address"
    if kinds & UNREACHABLE:
        return f"{host} cannot be reached", "check your internet connection, then run this again"
    if folder and isinstance(error, OSError):
        return explain_disk(error, folder)
    return f"the data from {host} does not have the expected {expected}", (
        "run this again, and if that does not help, check whether a log-in page of your network answers "
        "instead, or get the newest version of this course"
    )


def explain_disk(error, folder):
    """Return why the disk of `folder` raised an OSError, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no room left in {folder}", (
            "free some space, or set ATTENTION_DATA to a folder with room, then run this again"
        )
    return f"{folder} cannot be used ({error.strerror or error})", (
        "set ATTENTION_DATA to a folder that you may write to, then run this again"
    )


@contextmanager
def disk_errors(failed, folder):
    """Convert an OSError in the block to a DataError. `failed` says what failed, on the disk of `folder`."""
    try:
        yield
    except OSError as error:
        reason, advice = explain_disk(error, folder)
        raise DataError(f"{failed} because {reason}: {advice}") from error


@contextmanager
def replacing(path):
    """Yield a temporary path, which replaces `path` if the block succeeds and is deleted if it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
