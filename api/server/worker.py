"""A process of the server: no thread of it waits for a client to speak.

What clients send is gathered where all connections wait together; a thread gets a request when it
is there. Only bodies that are long are read by threads, which are never all busy with them.
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

SHORT = 2**16  # bytes of a request that are gathered before a thread gets it
_PATIENCE = 10  # seconds that a request has to be there, and that a thread waits for more of it
_FAREWELL = 2.0  # seconds that a client has to read the last answer (RFC 9112, section 9.6)
_REST = 1.0  # seconds that a thread gives to the rest of a body; a busy machine needs them
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_OPEN = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)
_SO_ATTACH_FILTER = 26  # socket(7)
_PASS_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: return 0, bytes to keep of a packet


class Worker(ThreadWorker):  # type: ignore[misc]
    """A process that answers whoever has said what he wants, and keeps nobody waiting for others.

    Told to end, it takes in all who have come and shuts the door behind them; gunicorn's own
    leaves them waiting at the socket until it closes, which resets them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Any, float] = {}  # connection → until when
        self._long: set[Any] = set()  # connections whose bodies threads read
        self._queue: deque[Any] = deque()  # those that come after them

    def enqueue_req(self, conn: Any) -> None:
        """Gather the next request of a connection."""
        if conn.initialized:
            conn.said = bytearray(conn.parser.unreader.take_buffered())
        else:
            conn.said = bytearray()
            pause = struct.pack("ll", _PATIENCE, 0)  # for the kernel: gunicorn resets Python's own
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pause)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, pause)
        self._wait(conn, _PATIENCE, self._listen)
        if conn.said:
            self._weigh(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Wait for the next request, or say farewell."""
        if conn in self._long:
            self._long.remove(conn)
            if self._queue:
                self._begin_long(self._queue.popleft())
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def murder_pending(self) -> None:
        """End the connections whose time is over."""
        now = time.monotonic()
        for conn in [each for each, until in self._waiting.items() if until <= now]:
            self._forget(conn)
            self._end(conn, 408, "the request did not come whole in time")

    def _cap_keepalive(self, deadline: float) -> None:
        """End all waiting by a time."""
        super()._cap_keepalive(deadline)
        self._waiting = {conn: min(until, deadline) for conn, until in self._waiting.items()}

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take new connections, or no more."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                _stop_newcomers(listener)
                self._take_in(listener)
                listener.close()

    def _take_in(self, listener: Any) -> None:
        """Accept until nobody waits."""
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Tell whether a connection can be used again: nothing of the body may be left."""
        return bool(keepalive and conn.parser.finish_body(time.monotonic() + _REST))

    def _wait(self, conn: Any, seconds: float, then: Any) -> None:
        conn.sock.setblocking(False)
        self._waiting[conn] = time.monotonic() + seconds
        self.poller.register(conn.sock, EVENT_READ, partial(then, conn))

    def _forget(self, conn: Any) -> None:
        del self._waiting[conn]
        self.poller.unregister(conn.sock)

    def _listen(self, conn: Any, _: Any) -> None:
        """Take in what has come."""
        piece = _received(conn)
        if piece is None:
            return
        conn.said += piece
        if piece:
            self._weigh(conn)
            return
        self._forget(conn)
        self._end(conn, 400, "the request ended before it was whole")

    def _weigh(self, conn: Any) -> None:
        """Give a thread what is there in whole, or too long to be waited for here."""
        conn.said = conn.said.lstrip(b"\r\n")  # RFC 9112, section 2.2
        end = conn.said.find(_END)
        if end < 0:
            if len(conn.said) > SHORT:
                self._forget(conn)
                self._refuse(conn, 431, "the head of the request is too long")
            return
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
        """Let a thread read a long body, unless half of them do so."""
        if len(self._long) >= max(1, self.cfg.threads // 2):
            self._queue.append(conn)
        else:
            self._long.add(conn)
            self._serve(conn)

    def _serve(self, conn: Any) -> None:
        conn.init()
        conn.parser.unreader.unread(bytes(conn.said))
        super().enqueue_req(conn)

    def _end(self, conn: Any, status: int, why: str) -> None:
        """Give a connection up; who has begun a request is told why."""
        if conn.said:
            self._refuse(conn, status, why)
        else:
            self._close(conn)

    def _refuse(self, conn: Any, status: int, said: str) -> None:
        with suppress(OSError):
            util.write_error(conn.sock, status, "", said)
        self._leave(conn)

    def _leave(self, conn: Any) -> None:
        """Say no more, and wait until the client has seen it."""
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
    """Return what has come; nothing where no more will, None where nothing has yet."""
    try:
        found: bytes = conn.sock.recv(SHORT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    return found


def _stop_newcomers(listener: Any) -> None:
    """Let the kernel overlook who comes now: it tries again, and is refused by then.

    Without it, who comes between the last accept and the close would be taken and then reset.
    """
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_PASS_NOTHING)
        filter_ = struct.pack("HP", 1, ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
