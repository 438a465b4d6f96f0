"""Serves the API with gunicorn, several processes with threads each; SIGTERM drops no request."""

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

_PATIENCE = 30  # seconds that running requests have to finish after SIGTERM


def run() -> NoReturn:
    """Serve until a signal.

    Before that, raises PortTaken, SettingError, and all that `create_app` raises.
    """
    now = settings()
    check_address(now.api_host, now.api_port)
    create_app()  # report errors here once; the workers would repeat them endlessly
    util.write_error = _write_problem
    Server().run()
    raise SystemExit


def check_address(host: str, port: int) -> None:
    """Raise PortTaken if the port is in use, SettingError if the address cannot be used."""
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
            f"the API cannot listen on {host}:{port}: {reason}",
            "correct ROWBOAT_API_HOST and ROWBOAT_API_PORT",
        ) from None


class Server(BaseApplication):  # type: ignore[misc]
    """The gunicorn server of the API; each worker process builds its own application."""

    def load_config(self) -> None:
        """Set the options that differ from gunicorn's defaults."""
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
            "logger_class": ServerLog,
            "child_exit": _forget_worker,
            "worker_tmp_dir": os.environ.get(FOLDER),  # heartbeats in memory: disks can stall
            "control_socket_disable": True,  # nothing uses it
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the application, after the fork: connections cannot be shared between processes."""
        made = create_app()
        gc.collect()
        gc.freeze()  # the collector need not scan again what lives as long as the process
        return made


class ServerLog(Logger):  # type: ignore[misc]
    """Sends gunicorn's messages to the common log; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Replace gunicorn's handlers by the bridge to the common log."""
        super().setup(cfg)
        self.error_log.handlers = [Bridge()]
        self.error_log.propagate = False
        self.error_log.setLevel(logging.INFO)


def _write_problem(client: socket.socket, status: int, _: str, said: str) -> None:
    """Answer a request that is not valid HTTP, and so reaches no view, with problem+json.

    It replaces gunicorn's `util.write_error`, which sends HTML.
    """
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": said,
               "errors": [], "request": ""}  # fmt: skip
    body = json.dumps(problem).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode() + body)


def _forget_worker(_: Any, worker: Any) -> None:
    """Remove the gauges of a worker that has ended from the Prometheus files."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
