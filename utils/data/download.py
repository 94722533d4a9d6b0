"""One way to fetch a file of a public corpus: once, checked, and into the user's cache folder."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from tqdm.auto import tqdm

TIMEOUT = 30  # seconds without a byte after which a server counts as stalled
LOG_IN_PAGE = (
    "run this again, and if that does not help, look for a network's log-in page that answers in "
    "its place, or get the newest version of this course"
)

pooch.get_logger().setLevel("WARNING")  # the progress bar says the same in fewer words


class DataError(RuntimeError):
    """Data that cannot be had; the message is one sentence that says what to do."""


def cache_folder():
    """Return the folder that downloads live in: ATTENTION_DATA if set, else the user's cache folder."""
    return Path(os.environ.get("ATTENTION_DATA") or pooch.os_cache("attention-course")).expanduser()


def fetch(name, url, sha256, folder="", progress=True):
    """Return the path of the file `name` with the checksum `sha256`, downloaded from `url` if need be.

    `folder` is relative to the cache folder. A file that is already there and right is used without
    a network; one that is there but wrong is replaced. Several processes may fetch one file at once:
    each downloads to a file of its own, which takes its name only when it is whole and right.

    Every failure (no network, the server, a cut-off download, the checksum, the disk) is a DataError
    chained to its cause, and leaves nothing of the download behind; neither does Ctrl-C.
    """
    import requests  # slow to import, and only downloads need it

    folder = cache_folder() / folder

    def download(url, path, _):
        # pooch's own downloader has a bar without a name, which a failure leaves open.
        headers = {"Accept-Encoding": "identity"}  # the bytes as they are stored, for their checksum
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as reply:
            reply.raise_for_status()
            total = int(reply.headers.get("Content-Length", 0)) or None
            bar = tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=not progress)
            with bar, open(path, "wb") as file:
                for chunk in reply.iter_content(2**16):
                    file.write(chunk)
                    bar.update(len(chunk))
        os.chmod(path, 0o644)  # pooch's temporary file is private, but a class may share one folder

    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=download))
    except (requests.RequestException, OSError, ValueError) as error:
        reason, advice = explain(error, url, folder)
        raise DataError(f"{name} could not be downloaded because {reason}: {advice}") from error


def explain(error, url, folder):
    """Say why a download failed and what to do about it; a RequestException is an OSError too."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    host = urlsplit(url).hostname
    if isinstance(error, requests.HTTPError):
        return explain_status(url, error.response.status_code, error.response.reason)
    stalled = error.args and isinstance(error.args[0], ReadTimeoutError)
    if stalled or isinstance(error, requests.exceptions.ChunkedEncodingError):
        return explain_stop(host)
    if isinstance(error, requests.ConnectionError):
        return f"{host} cannot be reached", "check your internet connection, then run this again"
    if isinstance(error, requests.RequestException):
        return f"{url} is not an address that can be fetched", "correct that address"
    if isinstance(error, OSError):
        return explain_disk(error, folder)
    return f"what {host} sent does not have the expected checksum", LOG_IN_PAGE


def explain_status(url, status, reason):
    """Say what an answer with an error status means, and what to do about it."""
    busy = status == 429 or status >= 500
    return f"{url} answered {status} ({reason})", (
        "wait a few minutes, then run this again"
        if busy
        else "check that address, or get the newest version of this course"
    )


def explain_stop(host):
    """Say that a server died in the middle, and what to do about it."""
    return f"{host} stopped before the end of the file", "check your internet connection, then run this again"


def explain_disk(error, folder):
    """Say why an OSError of the disk that `folder` is on came about, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no room left in {folder}", (
            "free some space, or set ATTENTION_DATA to a folder with room, then run this again"
        )
    return f"{folder} cannot be used ({error.strerror or error})", (
        "set ATTENTION_DATA to a folder that you may write to, then run this again"
    )


@contextmanager
def on_disk(failed, folder):
    """Make what the disk that `folder` is on refuses a DataError: `failed` says what did not come about."""
    try:
        yield
    except OSError as error:
        reason, advice = explain_disk(error, folder)
        raise DataError(f"{failed} because {reason}: {advice}") from error


@contextmanager
def replacing(path):
    """Give a file to write to, which takes the place of `path` only when the block has ended well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
