"""A server that keeps the JSON documents that are posted to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Posts:
    """What was posted, by path, and what is answered; while `go_on` is not set, nothing is."""

    kept: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 200
    go_on: Event = field(default_factory=Event)
    address: str = ""

    def at(self, path: str) -> list[Any]:
        """Return what was posted to a path."""
        return [document for where, document in list(self.kept) if where == path]


@contextmanager
def posts() -> Iterator[Posts]:
    """Run such a server."""
    found = Posts()
    found.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.go_on.wait(60)
            found.kept.append((self.path, json.loads(body)))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    found.go_on.set()
    server.shutdown()
    server.server_close()
