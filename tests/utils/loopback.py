"""Web servers on this machine that can also fail in the ways that real ones do."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class Loopback(ThreadingHTTPServer):
    """Serve `files`, a dict of names and bytes or paths, in the way that `mode` says.

    "right", a status to answer with (404), "wrong" bytes, "unsized" without a Content-Length,
    "short" or "long" with a Content-Length that is too small or too large, "cut" in the middle of
    the file, "stall" there until released, "silent" without an answer, "together" once two clients
    are waiting, "whole" without heed to a range that was asked for. `asked` lists the paths that were
    asked for; `sent` counts bytes of files; `halfway` is set at a stall.
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
        """Say nothing of a client that hangs up, as one does that has what it needs."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        self.answer(self.server.files.get(self.path.lstrip("/")))

    def answer(self, data, mode=None, **headers):
        """Send a file, or the part of it that was asked for."""
        server = self.server
        mode = mode or server.mode
        if data is None or isinstance(mode, int):
            self.send_error(404 if data is None else mode)
            return
        if mode == "silent":
            server.released.wait()
            return
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        part = range(size)
        if (asked := self.headers.get("Range")) and mode != "whole":
            first, last = asked.removeprefix("bytes=").split("-")
            part = part[int(first) : int(last) + 1 if last else None] if first else part[-int(last) :]
            headers["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{size}"
        half = len(part) // 2
        if mode == "together":
            server.two_clients.wait()
        self.send_response(206 if "Content-Range" in headers else 200)
        if mode != "unsized":
            length = {"short": half, "long": len(part) + 1}.get(mode, len(part))
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if mode in ("cut", "stall"):
            self.send_part(data, part[:half])
            self.close_connection = True
            if mode == "stall":
                server.halfway.set()
                server.released.wait()
        elif mode == "wrong":
            middle = part[half]
            self.send_part(data, part[:half])
            self.wfile.write(bytes([self.read(data, part[half : half + 1])[0] ^ 1]))
            self.send_part(data, range(middle + 1, part.stop))
        else:
            self.send_part(data, part)

    def send_part(self, data, part):
        for start in range(part.start, part.stop, 2**16):
            chunk = self.read(data, range(start, min(start + 2**16, part.stop)))
            self.wfile.write(chunk)
            self.server.sent += len(chunk)

    @staticmethod
    def read(data, part):
        if isinstance(data, bytes):
            return data[part.start : part.stop]
        with open(data, "rb") as file:
            file.seek(part.start)
            return file.read(len(part))


class Hub(Handler):
    """Speak the part of the Hugging Face hub's protocol that reading a data set needs.

    Names in `files` begin with the repository: "wmt/wmt14/README.md". More ways to fail are attributes
    of the server: with a `token`, whoever does not show it is refused; with `data_alone`, `mode` is for
    Parquet files alone; with `failures`, it is for so many requests; and `right_for` is how many bytes
    are sent before it begins.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.hub(b"")

    do_HEAD = do_GET

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
            facts = {
                "_id": "0",
                "id": repository.strip("/"),
                "sha": commit,
                "private": False,
                "siblings": siblings,
            }
            self.json(facts | {"gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0})
        elif rest[0] == "tree":
            folder = "".join(f"{part}/" for part in rest[2:])
            inside = [name for name in names if name.startswith(folder)]
            if (
                "recursive=true" not in self.path.lower()
            ):  # else all files: here, what lies directly in the folder
                inside = dict.fromkeys(folder + name.removeprefix(folder).split("/")[0] for name in inside)
            self.json([self.entry(repository, names, name) for name in inside])
        elif rest[0] == "paths-info":
            asked = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
            entries = [self.entry(repository, names, name) for name in asked]
            self.json([entry for entry in entries if entry])
        else:
            self.refuse(404)

    def entry(self, repository, names, name):
        if name in names:
            data = self.server.files[repository + name]
            size = data.stat().st_size if isinstance(data, Path) else len(data)
            return {
                "type": "file",
                "path": name,
                "size": size,
                "oid": hashlib.sha1(name.encode()).hexdigest(),
            }
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
    """Run a Loopback server until the block ends."""
    with Loopback(files, handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
