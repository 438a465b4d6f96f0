"""Servers of the API as processes of their own, over the database of a test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from rowboat.access import keys
from rowboat.database import embedded
from rowboat.database.connections import transaction
from tests.conftest import Boat

ROWBOAT = str(Path(sys.executable).with_name("rowboat"))


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until a condition holds and return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not true within {seconds} s")
        time.sleep(0.02)
    return value


@dataclass
class Served:
    """A running `rowboat serve`."""

    process: "subprocess.Popen[str]"
    address: str
    headers: dict[str, str]
    output: Path
    logs: Path

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a request on a connection of its own."""
        return httpx.get(f"{self.address}{path}", headers=self.headers, timeout=30, **options)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in children.read_text().split()]

    def numbers(self) -> Path:
        """Return the folder of the metrics files that the workers map."""
        maps = [Path(f"/proc/{each}/maps").read_text() for each in self.workers()]
        [folder] = {*re.findall(r"(/\S+)/counter_\d+\.db", "".join(maps))}
        return Path(folder)

    def lines(self) -> list[dict[str, Any]]:
        """Return the log, every line of which is JSON."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]


@dataclass
class Launcher:
    """Starts servers over the boat's database."""

    boat: Boat
    folder: Path
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def environment(self, **changes: str) -> dict[str, str]:
        """Return the environment of a server."""
        chosen = {
            "DATABASE_URL": self.boat.uri("api"), "HOME": str(self.folder / "home"),
            "BACKUPS": str(self.folder / "backups"), "API_LOG": str(self.folder / "logs"),
            "API_PORT": str(embedded.free_port()), "AIRFLOW_PORT": str(embedded.free_port()),
            **changes,
        }  # fmt: skip
        environment = {f"ROWBOAT_{name}": value for name, value in chosen.items()}
        return dict(os.environ) | environment | {"TMPDIR": str(self.folder)}

    def __call__(self, **changes: str) -> Served:
        (self.folder / "backups").mkdir(exist_ok=True)
        environment = self.environment(**changes)
        output = self.folder / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                [ROWBOAT, "serve"],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.running.append(process)
        with transaction(self.boat.connect("owner")) as cursor:
            _, token = keys.create_key(cursor, "a test", "operate", per_minute=1_000_000)
        address = f"http://127.0.0.1:{environment['ROWBOAT_API_PORT']}"
        served = Served(process, address, {"Authorization": f"Bearer {token}"}, output,
                        Path(environment["ROWBOAT_API_LOG"]))  # fmt: skip
        until(lambda: process.poll() is not None or _answers(address))
        assert process.poll() is None, output.read_text()
        return served


def _answers(address: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{address}/health").is_success
    return False


@pytest.fixture
def serve(boat: Boat, tmp_path: Path) -> Iterator[Launcher]:
    """Starts servers, and ends them."""
    launcher = Launcher(boat, tmp_path)
    yield launcher
    for process in launcher.running:
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            process.wait(60)  # gunicorn gives a process 30 seconds to end
