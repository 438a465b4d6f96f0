"""The gunicorn worker: slow clients occupy no thread.

The main thread collects what clients send, for all connections with one selector, and hands a
request to a thread when it has arrived completely. Only bodies longer than SHORT are read by
threads, by at most half of them at a time.

It overrides private methods of gunicorn's ThreadWorker, so gunicorn is pinned to one version.
"""

import ctypes
import re
import socket
import struct
import sys
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

SHORT = 2**16  # bytes of a request that the main thread collects; a thread reads longer ones
_PATIENCE = 10  # seconds for a request to arrive, and that a thread waits for more of a body
_FAREWELL = 2.0  # seconds for a client to read the last answer (RFC 9112, section 9.6)
_REST = 1.0  # seconds for the unread rest of a body to arrive; busy machines need that long
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_OPEN = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)
_SO_ATTACH_FILTER = 26  # socket(7)
_PASS_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF program `ret 0`: drop each packet


class Worker(ThreadWorker):  # type: ignore[misc]
    """A worker process that hands a request to a thread only when it has arrived.

    Told to stop, it accepts all connections that are waiting, answers them, and closes its
    listening sockets. Gunicorn's own worker would leave them waiting until the socket is closed,
    which resets them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Any, float] = {}  # connection → when its time is up
        self._long: set[Any] = set()  # connections whose bodies are being read by threads
        self._queue: deque[Any] = deque()  # connections with long bodies that wait for their turn

    def enqueue_req(self, conn: Any) -> None:
        """Begin to collect the next request of a connection."""
        if conn.initialized:
            # The client may have sent the next request already, behind the last one.
            conn.said = bytearray(conn.parser.unreader.take_buffered())
        else:
            conn.said = bytearray()
            # As socket options, since gunicorn resets the timeouts of Python's socket object.
            pause = struct.pack("ll", _PATIENCE, 0)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pause)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, pause)
        self._wait(conn, _PATIENCE, self._listen)
        if conn.said:
            self._weigh(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Wait for the next request, or close the connection; start the next long body."""
        # Its turn is over before the connection is reused or closed: a queued one may start.
        if conn in self._long:
            self._long.remove(conn)
            if self._queue:
                self._begin_long(self._queue.popleft())
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def murder_pending(self) -> None:
        """End the connections whose time is up; the main loop calls this periodically."""
        now = time.monotonic()
        for conn in [each for each, until in self._waiting.items() if until <= now]:
            self._forget(conn)
            self._end(conn, 408, "the request did not arrive completely in time")

    def _cap_keepalive(self, deadline: float) -> None:
        """Let no connection wait beyond `deadline`."""
        super()._cap_keepalive(deadline)
        self._waiting = {conn: min(until, deadline) for conn, until in self._waiting.items()}

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections; when stopping for good, accept those that wait."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            # In this order: no new connections, accept the established ones, close.
            for listener in self.sockets:
                _stop_newcomers(listener)
                self._take_in(listener)
                listener.close()

    def _take_in(self, listener: Any) -> None:
        """Accept until no connection is waiting."""
        # `accept` does not say how many it took: stop when the count no longer grows.
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Return whether a connection can be reused: no part of the body may be left unread."""
        # Otherwise the rest would be parsed as the next request (request smuggling).
        return bool(keepalive and conn.parser.finish_body(time.monotonic() + _REST))

    def _wait(self, conn: Any, seconds: float, then: Any) -> None:
        conn.sock.setblocking(False)
        self._waiting[conn] = time.monotonic() + seconds
        self.poller.register(conn.sock, EVENT_READ, partial(then, conn))

    def _forget(self, conn: Any) -> None:
        del self._waiting[conn]
        self.poller.unregister(conn.sock)

    def _listen(self, conn: Any, _: Any) -> None:
        """Read what has arrived on a connection."""
        piece = _received(conn)
        if piece is None:
            return
        conn.said += piece
        if piece:
            self._weigh(conn)
            return
        self._forget(conn)
        self._end(conn, 400, "the request ended before it was complete")

    def _weigh(self, conn: Any) -> None:
        """Hand the request to a thread if it is complete, or too long to be collected here.

        A body counts as long if its length is unknown (chunked) or the client waits for a 100
        Continue before it sends it.
        """
        conn.said = conn.said.lstrip(b"\r\n")  # RFC 9112, section 2.2
        end = conn.said.find(_END)
        if end < 0:
            if len(conn.said) > SHORT:
                self._forget(conn)
                self._refuse(conn, 431, "the header of the request is too long")
            return
        # Includes the line end of the last field, which the patterns need. They only decide who
        # reads the body: gunicorn's parser judges whether the header is valid.
        head = bytes(conn.said[: end + 2])
        length = _LENGTH.search(head)
        size = end + len(_END) + (int(length[1]) if length else 0)
        if _OPEN.search(head) or size > SHORT:
            self._forget(conn)
            self._begin_long(conn)
        elif len(conn.said) >= size:
            self._forget(conn)
            self._serve(conn)

    def _begin_long(self, conn: Any) -> None:
        """Let a thread read a long body, or queue it if half of the threads are doing so."""
        # The other half of the threads answers short requests, however slow the uploads are.
        if len(self._long) >= max(1, self.cfg.threads // 2):
            self._queue.append(conn)
        else:
            self._long.add(conn)
            self._serve(conn)

    def _serve(self, conn: Any) -> None:
        conn.init()
        # The parser reads what was collected before it reads from the socket.
        conn.parser.unreader.unread(bytes(conn.said))
        super().enqueue_req(conn)

    def _end(self, conn: Any, status: int, why: str) -> None:
        """End a connection, with an error if the client has begun a request."""
        if conn.said:
            self._refuse(conn, status, why)
        else:
            self._close(conn)

    def _refuse(self, conn: Any, status: int, said: str) -> None:
        with suppress(OSError):
            util.write_error(conn.sock, status, "", said)
        self._leave(conn)

    def _leave(self, conn: Any) -> None:
        """Send no more, and wait until the client closes the connection.

        Closing at once could reset the connection before the client has read the answer.
        """
        conn.said = bytearray()
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            self._wait(conn, _FAREWELL, self._ignore)
        except OSError:
            self._close(conn)

    def _ignore(self, conn: Any, _: Any) -> None:
        if _received(conn) == b"":
            self._forget(conn)
            self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _received(conn: Any) -> bytes | None:
    """Return the bytes that have arrived: b"" at the end, None if there are none yet."""
    try:
        found: bytes = conn.sock.recv(SHORT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    return found


def _stop_newcomers(listener: Any) -> None:
    """Make the kernel drop new SYN packets (BPF filter) until the socket is closed.

    Clients send them again and get "connection refused" then. Without the filter, a connection
    established between the last accept and the close would be reset.
    """
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_PASS_NOTHING)
        filter_ = struct.pack("HP", 1, ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
