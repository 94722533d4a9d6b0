"""The Hugging Face hub in this process: the answers that its client needs to read one data set."""

import hashlib
from contextlib import contextmanager
from json import loads
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import parse_qs, unquote

import datasets
import httpx2
import huggingface_hub
from huggingface_hub import file_download
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
            return self.facts(path.split("/")[4:], request)
        return self.file(request, path.partition("/resolve/")[2].partition("/"), failure)

    def file(self, request, commit_and_name, failure):
        commit, _, name = commit_and_name
        if name not in self.files:
            return httpx2.Response(404, headers={"X-Error-Code": "EntryNotFound"})
        data, status = self.files[name], 200
        headers = {"X-Repo-Commit": commit, "ETag": hashlib.sha256(data).hexdigest()}
        if requested := request.headers.get("Range"):
            first, last = requested.removeprefix("bytes=").split("-")
            start = int(first)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[start : int(last) + 1 if last else None], 206
        headers["Content-Length"] = str(len(data))
        if request.method == "HEAD":
            return httpx2.Response(status, headers=headers)
        self.sent += len(data)
        return httpx2.Response(status, headers=headers, content=cut(data) if failure == "cut" else data)

    def facts(self, path, request):
        """The facts of the data set, of the files in a folder, or of named files."""
        kind, *rest = path or ["revision", "0" * 40]
        if kind == "revision":
            siblings = [{"rfilename": name} for name in self.files]
            flags = dict.fromkeys(("private", "gated", "disabled"), False)
            facts = {"_id": "0", "id": "wmt/wmt14", "sha": rest[0], "siblings": siblings, "tags": []}
            return httpx2.Response(200, json=facts | flags | {"downloads": 0, "likes": 0})
        if kind == "tree":
            folder = "".join(f"{name}/" for name in rest[1:])
            inside = [name for name in self.files if name.startswith(folder)]
            if request.url.params.get("recursive", "").lower() != "true":
                inside = dict.fromkeys(folder + name.removeprefix(folder).split("/")[0] for name in inside)
        else:
            body = request.content.decode()
            inside = parse_qs(body).get("paths") or loads(body)["paths"]
        return httpx2.Response(200, json=[entry for entry in map(self.entry, inside) if entry])

    def entry(self, name):
        if name in self.files:
            return {"type": "file", "path": name, "size": len(self.files[name]), "oid": name}
        if any(other.startswith(f"{name}/") for other in self.files):
            return {"type": "directory", "path": name, "size": 0, "oid": "0"}
        return None


def cut(data):
    yield data[: len(data) // 2]
    raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


@contextmanager
def in_process(cache):
    """Yield a `Hub` that answers the hub's client in this process; its downloads go to the folder `cache`."""
    hub = Hub()
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(hub.answer)))
    clock = SimpleNamespace(**vars(_http.time) | {"sleep": hub.waits.append})
    try:
        with (
            patch.object(_http, "time", clock),
            patch.object(file_download, "time", clock),
            patch.object(huggingface_hub.constants, "HF_HUB_CACHE", str(cache)),
            patch.object(datasets.config, "HF_DATASETS_CACHE", cache),
        ):
            yield hub
    finally:
        huggingface_hub.set_client_factory(_http.default_client_factory)
