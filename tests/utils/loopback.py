"""Local web servers that can fail like real ones."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class Loopback(ThreadingHTTPServer):
    """Serve `files`, a dict from names to bytes or paths, as `mode` says.

    - "right": correctly; an int: with this error status
    - "wrong": with a wrong byte
    - "unsized": without a Content-Length
    - "short", "long": with a Content-Length that is too small or too large
    - "cut", "stall": half of the file, then close the connection, or wait for `released`
    - "silent": no answer
    - "together": once two clients wait
    - "whole": the whole file, even if the request has a range

    `asked` lists the requested paths, `sent` counts the bytes of files, and `halfway` is set at a stall.
    """

    def __init__(self, files, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.files = files
        self.mode = "right"
        self.asked = []
        self.sent = 0
        self.halfway = threading.Event()
        self.released = threading.Event()
        self.two_clients = threading.Barrier(2, timeout=60)
        self.token, self.data_alone, self.failures, self.right_for = None, False, None, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Ignore clients that close the connection early, once they have what they need."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        self.answer(self.server.files.get(self.path.lstrip("/")))

    def answer(self, data, mode=None, **headers):
        """Send a file, or the requested range of it."""
        mode = mode or self.server.mode
        if data is None or isinstance(mode, int):
            self.send_error(404 if data is None else mode)
            return
        if mode == "silent":
            self.server.released.wait()
            return
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        span = range(size)
        if (requested := self.headers.get("Range")) and mode != "whole":
            first, last = requested.removeprefix("bytes=").split("-")
            span = span[int(first) : int(last) + 1 if last else None] if first else span[-int(last) :]
            headers["Content-Range"] = f"bytes {span[0]}-{span[-1]}/{size}"
        if mode == "together":
            self.server.two_clients.wait()
        if mode != "unsized":
            length = {"short": len(span) // 2, "long": len(span) + 1}.get(mode, len(span))
            headers["Content-Length"] = str(length)
        self.send_response(206 if "Content-Range" in headers else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(data, span, mode)

    def send_body(self, data, span, mode):
        half = len(span) // 2
        self.send_bytes(data, span[:half])
        if mode in ("cut", "stall"):
            self.close_connection = True
            if mode == "stall":
                self.server.halfway.set()
                self.server.released.wait()
            return
        if mode == "wrong":
            self.wfile.write(bytes([self.read(data, span[half : half + 1])[0] ^ 1]))
            half += 1
        self.send_bytes(data, span[half:])

    def send_bytes(self, data, span):
        for start in range(span.start, span.stop, 2**16):
            chunk = self.read(data, range(start, min(start + 2**16, span.stop)))
            self.wfile.write(chunk)
            self.server.sent += len(chunk)

    @staticmethod
    def read(data, span):
        if isinstance(data, bytes):
            return data[span.start : span.stop]
        with open(data, "rb") as file:
            file.seek(span.start)
            return file.read(len(span))


class Hub(Handler):
    """The part of the Hugging Face hub's protocol that is needed to read a data set.

    Names in `files` start with the repository: "wmt/wmt14/README.md". Attributes of the server add ways to
    fail: a `token` is required from clients. `mode` can be limited to Parquet files (`data_alone`), to a
    number of requests (`failures`), and to the time after some bytes have been sent (`right_for`).
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.hub(b"")

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.hub(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def hub(self, body):
        server = self.server
        path = unquote(urlsplit(self.path).path).strip("/")
        server.asked.append(f"{self.command} {path}")
        mode = self.mode_for(path)
        if isinstance(mode, int):
            self.refuse(mode)
        elif server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            self.refuse(401)
        elif path.startswith("api/datasets/"):
            owner, name, *rest = path.removeprefix("api/datasets/").split("/")
            repository = f"{owner}/{name}/"
            names = [file.removeprefix(repository) for file in server.files if file.startswith(repository)]
            self.api(repository, names, rest, body)
        elif path.startswith("datasets/") and "/resolve/" in path:
            repository, rest = path.removeprefix("datasets/").split("/resolve/")
            commit, name = rest.split("/", 1)
            self.resolve(server.files.get(f"{repository}/{name}"), commit, mode)
        else:
            self.refuse(404)

    def mode_for(self, path):
        server = self.server
        spared = server.data_alone and not path.endswith(".parquet")
        if server.mode == "right" or spared or server.sent < server.right_for or server.failures == 0:
            return "right"
        if server.failures:
            server.failures -= 1
        return server.mode

    def resolve(self, data, commit, mode):
        if data is None:
            self.refuse(404, "EntryNotFound")
            return
        etag = hashlib.sha256(str(data).encode() if isinstance(data, Path) else data).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        self.answer(data, mode, **headers)

    def api(self, repository, names, rest, body):
        if not rest or rest[0] == "revision":
            commit = rest[1] if rest else "0" * 40
            siblings = [{"rfilename": name} for name in names]
            facts = {"_id": "0", "id": repository.strip("/"), "sha": commit, "siblings": siblings, "tags": []}
            flags = dict.fromkeys(("private", "gated", "disabled"), False)
            self.json(facts | flags | {"downloads": 0, "likes": 0})
        elif rest[0] == "tree":
            folder = "".join(f"{name}/" for name in rest[2:])
            inside = [name for name in names if name.startswith(folder)]
            if "recursive=true" not in self.path.lower():  # only what is directly in the folder
                inside = dict.fromkeys(folder + name.removeprefix(folder).split("/")[0] for name in inside)
            self.json([self.entry(repository, names, name) for name in inside])
        elif rest[0] == "paths-info":
            requested = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
            entries = [self.entry(repository, names, name) for name in requested]
            self.json([entry for entry in entries if entry])
        else:
            self.refuse(404)

    def entry(self, repository, names, name):
        if name in names:
            data = self.server.files[repository + name]
            size = data.stat().st_size if isinstance(data, Path) else len(data)
            oid = hashlib.sha1(name.encode()).hexdigest()
            return {"type": "file", "path": name, "size": size, "oid": oid}
        if any(other.startswith(f"{name}/") for other in names):
            return {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
        return None

    def json(self, value):
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status, code=None):
        self.reply(status, b"", {"X-Error-Code": code} if code else {})

    def reply(self, status, body, headers):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve(files, handler=Handler):
    """Run a `Loopback` server until the block ends."""
    with Loopback(files, handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
