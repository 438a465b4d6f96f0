"""What api/server/worker.py takes from gunicorn without its promise: a new version must have it.

Whoever changes the version reads here, in words, what the worker has lost.
"""

import ast
import inspect
import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

import gunicorn
import pytest
from gunicorn.config import Config
from gunicorn.workers import gthread

from api.server import worker
from api.server.worker import Worker

BASE = "gunicorn.workers.gthread:ThreadWorker"
CONNECTION = "gunicorn.workers.gthread:TConn"
PARSER = "gunicorn.http.parser:RequestParser"
UNREADER = "gunicorn.http.unreader:SocketUnreader"
SIGNATURES = {
    f"{BASE}.enqueue_req": "(self, conn)",
    f"{BASE}.finish_request": "(self, conn, fs)",
    f"{BASE}.murder_pending": "(self)",
    f"{BASE}._cap_keepalive": "(self, deadline)",
    f"{BASE}.set_accept_enabled": "(self, enabled)",
    f"{BASE}._keepalive_after": "(self, conn, keepalive)",
    f"{BASE}.accept": "(self, listener)",
    f"{CONNECTION}.init": "(self)",
    f"{CONNECTION}.close": "(self, graceful=False)",
    f"{PARSER}.finish_body": "(self, deadline=None, max_bytes=None)",
    f"{UNREADER}.take_buffered": "(self)",
    f"{UNREADER}.unread": "(self, data)",
    "gunicorn.util:write_error": "(sock, status_int, reason, mesg)",
}
CALLERS = {
    "enqueue_req": ("accept", "on_client_socket_readable"),
    "finish_request": ("enqueue_req",),
    "murder_pending": ("run",),
    "_cap_keepalive": ("run",),
    "set_accept_enabled": ("run",),
    "_keepalive_after": ("handle",),
}
OWN = {"_waiting", "_long", "_queue"}  # what a Worker has on top
# How worker.py writes what it takes; what lies behind the sockets and the poller is Python's own.
USED = {
    *(f"super().{name}" for name in ("__init__", "enqueue_req", "finish_request")),
    *(f"super().{name}" for name in ("_cap_keepalive", "set_accept_enabled")),
    *(f"self.{name}" for name in ("accept", "alive", "cfg", "cfg.threads", "nr_conns")),
    *(f"self.{name}" for name in ("poller", "sockets")),
    *(f"conn.{name}" for name in ("close", "init", "initialized", "parser", "sock")),
    *(f"conn.parser.{name}" for name in ("finish_body", "unreader")),
    *(f"conn.parser.unreader.{name}" for name in ("take_buffered", "unread")),
    "util.write_error",
}
VERSION = f"gunicorn {gunicorn.__version__}"


def found(name: str) -> Any:
    """Return what has the name; fails where it is gone."""
    try:
        return resolve_name(name)
    except (ImportError, AttributeError):
        pytest.fail(f"{VERSION} has no {name}, which api/server/worker.py relies on")


def has(owner: object, *names: str) -> None:
    """Fail where one of the attributes is gone."""
    for name in names:
        where = type(owner).__name__
        assert hasattr(owner, name), (
            f"the {where} of {VERSION} has no {name}; api/server/worker.py needs it"
        )


@contextmanager
def made(kind: Any) -> Iterator[Any]:
    """Make a worker, as gunicorn does before the fork."""
    one = kind(0, os.getppid(), [], None, 30, Config(), None)
    yield one
    one.tmp.close()


@pytest.fixture
def base() -> Iterator[Any]:
    """A worker of gunicorn's own that nobody has started."""
    with made(gthread.ThreadWorker) as one:
        has(one, "poller")
        with selectors.DefaultSelector() as one.poller:
            yield one


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_takes_what_it_took(name: str) -> None:
    taken = str(inspect.signature(found(name)))
    assert taken == SIGNATURES[name], (
        f"{name} of {VERSION} takes {taken}: look at api/server/worker.py"
    )


@pytest.mark.parametrize("name", CALLERS)
def test_gunicorn_calls_what_is_overridden(name: str) -> None:
    for caller in CALLERS[name]:
        source = inspect.getsource(found(f"{BASE}.{caller}"))
        assert f"self.{name}" in source, (
            f"{caller} of {VERSION} no longer calls {name}, so that of api/server/worker.py is dead"
        )


def test_nothing_is_overridden_by_chance(base: Any) -> None:
    ours = {name for name in vars(Worker) if not name.startswith("__")}
    both = ours & {*dir(base)}
    assert both == {*CALLERS}, f"{VERSION} and api/server/worker.py both have {both ^ {*CALLERS}}"
    with made(Worker) as one:
        added = {*vars(one)} - {*vars(base)}
    assert added == OWN, f"{VERSION} has attributes of its own that are named {OWN - added}"


def test_a_worker(base: Any) -> None:
    has(base, "alive", "cfg", "nr_conns", "sockets")
    has(base.cfg, "threads")
    assert (base.alive, base.nr_conns, base.sockets, base.cfg.threads) == (True, 0, [], 1)
    begins = inspect.getsource(found(f"{BASE}.init_process"))
    assert "self.poller = selectors" in begins, f"the poller of {VERSION} is no selector of Python"


def test_accept_counts_and_never_waits(base: Any) -> None:
    come: list[Any] = []
    base.enqueue_req = come.append
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        base.accept(listener)
        assert (base.nr_conns, come) == (0, []), "accept no longer returns when nobody waits"
        with socket.create_connection(listener.getsockname()):
            base.accept(listener)
    assert (base.nr_conns, len(come)) == (1, 1), "accept no longer counts, or hands over no more"
    assert isinstance(come[0], found(CONNECTION))
    come[0].close()


def test_the_poller_calls_what_is_registered(
    base: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    seen: list[Any] = []
    base.poller.register(pair[0], selectors.EVENT_READ, seen.append)
    pair[1].send(b"x")
    base.wait_for_and_dispatch_events(1)
    assert seen == [pair[0]], f"{VERSION} calls what waits for a socket in another way"


def test_a_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    """Gathered bytes are given to the parser; what it read too much is taken back."""
    conn = found(CONNECTION)(Config(), pair[0], ("127.0.0.1", 1), ("127.0.0.1", 2))
    has(conn, "initialized", "parser", "sock")
    assert (conn.initialized, conn.parser, conn.sock) == (False, None, pair[0])
    conn.init()
    assert conn.initialized, "TConn.init no longer says that it was called"
    assert isinstance(conn.parser, found(PARSER))
    has(conn.parser, "unreader")
    assert isinstance(conn.parser.unreader, found(UNREADER))
    whole, next_ = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", b"GET /b "
    conn.parser.unreader.unread(whole + next_)
    assert next(conn.parser).path == "/a"
    assert conn.parser.finish_body(time.monotonic() + 1) is True
    assert conn.parser.unreader.take_buffered() == next_
    conn.close()
    assert pair[0].fileno() == -1, "TConn.close no longer closes"


def test_every_name_that_is_used_is_watched() -> None:
    """A new use in api/server/worker.py belongs into the lists above."""
    own = {*vars(Worker), *OWN, "said"}
    texts = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(inspect.getsource(worker)))
        if isinstance(node, ast.Attribute)
    }
    used = set()
    for text in texts:
        root, _, rest = text.partition(".")
        first, _, more = rest.partition(".")
        if root not in {"self", "super()", "conn", "util"}:
            continue
        if (root != "super()" and first in own) or (
            first in {"sock", "poller", "sockets"} and more
        ):
            continue
        used.add(text)
    assert used == USED, f"USED lacks {used - USED or 'nothing'}, and {USED - used} is not used"
