"""The Hugging Face hub in this process: the answers that its client needs to read one data set."""

from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import unquote

import httpx2
import huggingface_hub
from huggingface_hub.utils import _http


class Hub:
    """Answers requests for `files`, a dict from names in the data set to bytes.

    `fail(path)` may return an error status for a request, raise an error of the HTTP library, or return
    "cut": then the connection ends in the middle of the file. `asked` lists the requested paths, `sent`
    counts the bytes of files, and `waits` are the pauses between repeated requests, which take no time here.
    `token` is the only one that it accepts.
    """

    def __init__(self):
        self.files, self.asked, self.sent, self.waits, self.token = {}, [], 0, [], None
        self.fail = lambda path: None

    def answer(self, request):
        path = unquote(request.url.path).strip("/")
        self.asked.append(path)
        failure = self.fail(path)
        if request.headers.get("Authorization") not in (None, f"Bearer {self.token}"):
            message = "Invalid credentials in Authorization header"
            return httpx2.Response(401, headers={"X-Error-Message": message})
        if isinstance(failure, int):
            return httpx2.Response(failure)
        if path.startswith("api/datasets/"):
            return httpx2.Response(200, json=self.facts(*path.split("/")[4:]))
        _, _, name = path.partition("/resolve/")[2].partition("/")
        if name not in self.files:
            return httpx2.Response(404)
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        data = self.files[name][first : last + 1]
        self.sent += len(data)
        return httpx2.Response(206, content=cut(data) if failure == "cut" else data)

    def facts(self, kind, commit, folder=""):
        """The facts of the data set, or of what is in a folder."""
        if kind == "revision":
            flags = dict.fromkeys(("private", "gated", "disabled"), False)
            return {"id": "wmt/wmt14", "sha": commit, "siblings": [], "tags": []} | flags
        if not folder:
            return [{"type": "directory", "path": name.split("/")[0], "oid": "0"} for name in self.files][:1]
        return [
            {"type": "file", "path": name, "size": len(data), "oid": name}
            for name, data in self.files.items()
        ]


def cut(data):
    yield data[: len(data) // 2]
    raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


@contextmanager
def in_process():
    """Yield a `Hub` that answers the hub's client in this process."""
    hub = Hub()
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(hub.answer)))
    clock = SimpleNamespace(**vars(_http.time) | {"sleep": hub.waits.append})
    try:
        with patch.object(_http, "time", clock):
            yield hub
    finally:
        huggingface_hub.set_client_factory(_http.default_client_factory)
