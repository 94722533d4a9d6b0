"""A web server on this machine that can also fail in the ways that real ones do."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback(ThreadingHTTPServer):
    """Serve `files`, a dict of names and bytes, in the way that `mode` says.

    "right", a status to answer with (404), "wrong" bytes, "unsized" without a Content-Length,
    "short" or "long" with a Content-Length that is too small or too large, "cut" in the middle of
    the file, "stall" there until released, "silent" without an answer, "together" once two clients
    are waiting. `asked` lists the paths that were asked for; `halfway` is set at a stall.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.mode = "right"
        self.asked = []
        self.halfway = threading.Event()
        self.released = threading.Event()
        self.two_clients = threading.Barrier(2, timeout=60)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, mode = self.server, self.server.mode
        server.asked.append(self.path)
        data = server.files.get(self.path.lstrip("/"))
        if data is None or isinstance(mode, int):
            self.send_error(404 if data is None else mode)
            return
        if mode == "silent":
            server.released.wait()
            return
        half = len(data) // 2
        if mode == "together":
            server.two_clients.wait()
        elif mode == "wrong":
            data = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        self.send_response(200)
        if mode != "unsized":
            length = {"short": half, "long": len(data) + 1}.get(mode, len(data))
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if mode in ("cut", "stall"):
            self.wfile.write(data[:half])
            if mode == "stall":
                server.halfway.set()
                server.released.wait()
            return
        self.wfile.write(data)


@contextmanager
def serve(files):
    """Run a Loopback server until the block ends."""
    with Loopback(files) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
