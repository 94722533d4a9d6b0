"""Local web servers that can fail like real ones."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback(ThreadingHTTPServer):
    """Serve `files`, a dict from names to bytes, as `mode` says.

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

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.mode, self.asked, self.sent = files, "right", [], 0
        self.halfway, self.released = threading.Event(), threading.Event()
        self.two_clients = threading.Barrier(2, timeout=60)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Ignore clients that close the connection early, once they have what they need."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        """Send a file, or the requested range of it."""
        self.server.asked.append(self.path)
        data, mode, whole = self.server.files.get(self.path.lstrip("/")), self.server.mode, None
        if data is None or isinstance(mode, int):
            self.send_error(404 if data is None else mode)
            return
        if mode == "silent":
            self.server.released.wait()
            return
        if mode == "together":
            self.server.two_clients.wait()
        if mode != "whole" and (requested := self.headers.get("Range")):
            first, last = requested.removeprefix("bytes=").split("-")
            start = int(first) if first else max(0, len(data) - int(last))
            whole, data = len(data), data[start : int(last) + 1 if first and last else None]
        self.send_response(200 if whole is None else 206)
        if whole is not None:
            self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{whole}")
        if mode != "unsized":
            length = {"short": len(data) // 2, "long": len(data) + 1}.get(mode, len(data))
            self.send_header("Content-Length", str(length))
        self.end_headers()
        half = len(data) // 2
        self.send_bytes(data[:half])
        if mode in ("cut", "stall"):
            self.close_connection = True
            if mode == "stall":
                self.server.halfway.set()
                self.server.released.wait()
        else:
            self.send_bytes(bytes([data[half] ^ 1]) + data[half + 1 :] if mode == "wrong" else data[half:])

    def send_bytes(self, data):
        for start in range(0, len(data), 2**16):
            chunk = data[start : start + 2**16]
            self.wfile.write(chunk)
            self.server.sent += len(chunk)


@contextmanager
def serve(files):
    """Run a `Loopback` server until the block ends."""
    with Loopback(files) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
