"""A home of its own with its embedded Postgres, worked from the command line: no Airflow."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg2

from rowboat.database.embedded import EmbeddedServer
from tests.acceptance.conftest import ROWBOAT
from tests.chaos.workloads import Ingest, Place
from tests.conftest import ROOT

_PATIENCE = 300  # seconds for one command


class NotRun(Exception):
    """This machine cannot make the fault"""


class Yard(Place):
    """A home, its folders, and short ways to work there."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.home = folder, folder / "home"
        self.raw, self.shelf = folder / "raw_data", folder / "backups"
        for each in (self.home, self.raw):
            each.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in os.environ.items() if name[:8] != "ROWBOAT_"}
        self.environment = own | {
            "ROWBOAT_HOME": str(self.home),
            "ROWBOAT_RAW_DATA": str(self.raw),
            "ROWBOAT_BACKUPS": str(self.shelf),
            "ROWBOAT_SETTLE": "0",
        } | environment  # fmt: skip

    def rowboat(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command; `more` are variables of its own."""
        return subprocess.run(
            [ROWBOAT, *arguments], env=self.environment | more, capture_output=True, text=True,
            check=False, timeout=_PATIENCE,
        )  # fmt: skip

    def start(self, *arguments: str, log: Path, **more: str) -> "subprocess.Popen[bytes]":
        """Start a command and go on; its words go to a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [ROWBOAT, *arguments], env=self.environment | more, stdout=output, stderr=output
            )

    def does(self, *arguments: str, **more: str) -> Any:
        """Run a command that must do its work; return its document."""
        done = self.rowboat(*arguments, "--json", **more)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def fails(self, *arguments: str, **more: str) -> str:
        """Run a command that must explain why it cannot; return its words."""
        done = self.rowboat(*arguments, "--json", **more)
        assert done.returncode == 1, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        found = json.loads(done.stdout)
        return str(found.get("error") or [each.get("error") for each in found["files"]])

    def address(self, role: str = "rowboat_loader") -> str:
        """Return the address of the database for a role."""
        return EmbeddedServer(self.home).uri(role)

    def query(self, statement: str, values: Any = None, role: str = "rowboat_loader") -> list[Any]:
        """Ask the database."""
        connection = psycopg2.connect(self.address(role))
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchall() if cursor.description else []
        connection.close()
        return found

    def put(self, name: str, content: str | bytes) -> None:
        """Put a file into raw_data."""
        (self.raw / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def hires(self, seed: int, size: int = 0) -> Ingest:
        """Put a file of hires there, which knows how to check what became of it."""
        found = Ingest(self, seed, Random(seed), size)
        found.begin()
        return found


@contextmanager
def yard(folder: Path, **environment: str) -> Iterator[Yard]:
    """Make a home with departments and jobs, and keep its server up."""
    found = Yard(folder, **environment)
    for name in ("departments.csv", "jobs.csv"):
        shutil.copy(ROOT / "raw_data" / name, found.raw)
    embedded = EmbeddedServer(found.home)
    embedded.acquire()
    try:
        found.does("migrate")
        found.does("ingest")
        yield found
    finally:
        embedded.release()


@contextmanager
def volume(place: Path, kibibytes: int) -> Iterator[None]:
    """Mount a volume of some size; raises NotRun where that is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={kibibytes}k,mode=755", "chaos", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def grow(place: Path, kibibytes: int) -> None:
    """Make a mounted volume larger."""
    _mount("-o", f"remount,size={kibibytes}k", str(place))


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nothing be written below a folder, even by root; raises NotRun as `volume`."""
    _mount("--bind", str(place), str(place))
    try:
        _mount("-o", "remount,ro,bind", str(place))
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRun(f"mount: {getattr(error, 'stderr', error)}".strip()) from None
