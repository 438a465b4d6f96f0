"""Serves the API: gunicorn with threads; SIGTERM drops no request."""

import errno
import gc
import json
import logging
import os
import socket
from http import HTTPStatus
from typing import Any, NoReturn

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from api.application import create_app
from api.server.worker import Worker
from api.shared.logs import Bridge
from api.shared.prometheus import FOLDER
from rowboat.errors import PortTaken, SettingError
from rowboat.settings import settings

_PATIENCE = 30  # seconds that requests have to end after SIGTERM


def run() -> NoReturn:
    """Serve until a signal; raises PortTaken, SettingError or what `create_app` raises before."""
    now = settings()
    check_address(now.api_host, now.api_port)
    create_app()  # so that what is wrong with it is told once, and here
    util.write_error = _write_problem
    Server().run()
    raise SystemExit


def check_address(host: str, port: int) -> None:
    """Raise PortTaken where something listens there, SettingError where nothing could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} is taken, and the API needs it",
                "stop what listens there (another `rowboat up`?), or set ROWBOAT_API_PORT to "
                "another port",
            ) from None
        reason = (error.strerror or str(error)).lower()
        raise SettingError(
            f"the API cannot listen at {host}:{port}: {reason}",
            "correct ROWBOAT_API_HOST and ROWBOAT_API_PORT",
        ) from None


class Server(BaseApplication):  # type: ignore[misc]
    """The server of the API; each of its processes makes an application of its own."""

    def load_config(self) -> None:
        """Set what differs from gunicorn's own."""
        now = settings()
        host = f"[{now.api_host}]" if ":" in now.api_host else now.api_host
        chosen = {
            "bind": f"{host}:{now.api_port}",
            "workers": now.api_workers,
            "threads": now.api_threads,
            "worker_class": Worker,
            "graceful_timeout": _PATIENCE,
            "keepalive": 5,
            "limit_request_line": 8190,
            "logger_class": Log,
            "child_exit": _bury,
            "worker_tmp_dir": os.environ.get(FOLDER),
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application: after the fork, as connections cannot be shared."""
        made = create_app()
        gc.collect()
        gc.freeze()  # what lives as long as the process is not looked through again and again
        return made


class Log(Logger):  # type: ignore[misc]
    """Gunicorn's own words as lines of the same log; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Send everything to the bridge."""
        super().setup(cfg)
        self.error_log.handlers = [Bridge()]
        self.error_log.propagate = False
        self.error_log.setLevel(logging.INFO)


def _write_problem(client: socket.socket, status: int, _: str, said: str) -> None:
    """Answer what is no HTTP, which reaches no view, in the shape of all errors."""
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": said,
               "errors": [], "request": ""}  # fmt: skip
    body = json.dumps(problem).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode() + body)


def _bury(_: Any, worker: Any) -> None:
    """Let the connections of a process that ended count no more."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
