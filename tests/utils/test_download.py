import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pooch
import pytest

from utils.data import download
from utils.data.download import DataError, cache_folder, fetch

from .loopback import serve

pytestmark = pytest.mark.usefixtures("data_folder")
ROOT = Path(__file__).parents[2]
NAME = "numbers.bin"
DATA = bytes(range(251)) * 800  # larger than a chunk of a download
SHA256 = hashlib.sha256(DATA).hexdigest()

CHILD = """
import signal, sys
from utils.data.download import fetch
signal.signal(signal.SIGINT, signal.default_int_handler)
print(fetch(*sys.argv[1:], progress=False).read_bytes()[:4].hex())
"""


@pytest.fixture
def server():
    with serve({NAME: DATA}) as running:
        yield running


def get(server, **options):
    return fetch(NAME, f"{server.url}/{NAME}", SHA256, progress=False, **options)


def files(data_folder):
    return [path for path in data_folder.rglob("*") if path.is_file()]


def check_failure(data_folder, url, reason, advice):
    """Fetch `url`, and check that the error gives the reason and the advice, and that no file is left."""
    with pytest.raises(DataError) as caught:
        fetch(NAME, url, SHA256, progress=False)
    message = str(caught.value)
    because, _, then = message.rpartition(": ")
    assert because.startswith(f"{NAME} could not be downloaded because ")
    assert reason in because
    assert advice in then
    assert "\n" not in message
    assert ". " not in message, "one sentence"
    assert caught.value.__cause__ is not None
    assert files(data_folder) == []


def child(server):
    arguments = [NAME, f"{server.url}/{NAME}", SHA256]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("mode", ["right", "unsized"])
def test_fetch_downloads_once(server, data_folder, mode):
    server.mode = mode
    path = get(server, folder="corpus")
    assert path == data_folder / "corpus" / NAME
    assert path.read_bytes() == DATA
    assert get(server, folder="corpus") == path
    assert server.asked == [f"/{NAME}"]
    assert files(data_folder) == [path]


def test_fetch_replaces_a_file_with_another_checksum_and_never_returns_it(server, data_folder):
    data_folder.mkdir()
    (data_folder / NAME).write_bytes(DATA[:-1])
    server.mode = 503
    with pytest.raises(DataError, match="answered 503"):
        get(server)
    server.mode = "right"
    assert get(server).read_bytes() == DATA
    assert len(server.asked) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_downloads_can_be_read_by_other_users(server):
    assert get(server).stat().st_mode & 0o777 == 0o644


def test_progress_bar_is_the_only_output_and_names_the_file(server, data_folder, capfd):
    get(server)
    assert capfd.readouterr() == ("", "")
    (data_folder / NAME).unlink()
    fetch(NAME, f"{server.url}/{NAME}", SHA256)
    out, err = capfd.readouterr()
    assert out == ""
    assert f"{NAME}: 100%" in err
    assert {line.split(":")[0] for line in err.replace("\r", "\n").split("\n") if line} == {NAME}


@pytest.mark.parametrize(
    ("mode", "reason", "advice"),
    [
        (404, "answered 404 (Not Found)", "get the newest version of this course"),
        (429, "answered 429 (Too Many Requests)", "wait a few minutes"),
        (503, "answered 503 (Service Unavailable)", "wait a few minutes"),
        ("cut", "stopped before the end", "check your internet connection"),
        ("long", "stopped before the end", "check your internet connection"),
        ("stall", "stopped before the end", "check your internet connection"),
        ("silent", "stopped before the end", "check your internet connection"),
        ("short", "expected checksum", "run this again"),
        ("wrong", "expected checksum", "run this again"),
    ],
)
def test_server_errors_are_explained(server, data_folder, monkeypatch, mode, reason, advice):
    server.mode = mode
    if mode in ("stall", "silent"):
        monkeypatch.setattr(download, "TIMEOUT", 0.2)
    check_failure(data_folder, f"{server.url}/{NAME}", reason, advice)
    server.mode = "right"
    assert get(server).read_bytes() == DATA


def test_unreachable_server_is_explained(server, data_folder):
    with serve({}) as closed:
        pass
    for url in (closed.url, "http://a-host-that-cannot-exist.invalid"):
        check_failure(data_folder, f"{url}/{NAME}", "cannot be reached", "check your internet connection")
    assert get(server).read_bytes() == DATA


@pytest.mark.parametrize("url", ["numbers.bin", "http://", "gopher://127.0.0.1/numbers.bin"])
def test_invalid_address_is_explained(data_folder, url):
    check_failure(data_folder, url, "is not a valid address", "correct that address")


@pytest.mark.parametrize(
    ("number", "reason", "advice"),
    [
        (errno.ENOSPC, "no room left", "free some space"),
        (errno.EDQUOT, "no room left", "free some space"),
        (errno.EROFS, "cannot be used", "set ATTENTION_DATA"),
    ],
)
def test_disk_errors_are_explained(server, data_folder, monkeypatch, number, reason, advice):
    class Disk(io.FileIO):
        def write(self, chunk):
            super().write(chunk[: len(chunk) // 2])
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(pooch.downloaders, "open", Disk, raising=False)
        check_failure(data_folder, f"{server.url}/{NAME}", reason, advice)
    assert get(server).read_bytes() == DATA


def test_a_cached_file_is_read_from_a_folder_where_nothing_may_be_written(server, monkeypatch):
    """As from the folder of a class, which somebody else has filled."""
    get(server)
    monkeypatch.setattr(pooch.core, "make_local_storage", lambda *_: pytest.fail("it tried to write"))
    assert get(server).read_bytes() == DATA
    assert len(server.asked) == 1


def test_file_instead_of_a_folder_is_explained(server, data_folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "file" / "cache"))
    check_failure(data_folder, f"{server.url}/{NAME}", "cannot be used", "set ATTENTION_DATA to a folder")


def test_two_processes_can_fetch_a_file_at_once(server, data_folder):
    server.mode = "together"
    both = [child(server), child(server)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, DATA[:4].hex(), "")
    assert len(server.asked) == 2
    assert files(data_folder) == [data_folder / NAME]
    assert (data_folder / NAME).read_bytes() == DATA


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process alone")
def test_ctrl_c_leaves_no_file(server, data_folder):
    server.mode = "stall"
    process = child(server)
    while not server.halfway.wait(0.1):
        assert process.poll() is None, process.stderr.read()
    assert len(files(data_folder)) == 1
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert err.strip().endswith("KeyboardInterrupt")
    assert files(data_folder) == []


def test_cache_folder_is_an_environment_variable_or_the_default(monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", "~/corpora")
    assert cache_folder() == Path.home() / "corpora"
    monkeypatch.setenv("ATTENTION_DATA", "")
    assert cache_folder() == Path(pooch.os_cache("attention-course"))
    monkeypatch.delenv("ATTENTION_DATA")
    assert cache_folder() == Path(pooch.os_cache("attention-course"))
