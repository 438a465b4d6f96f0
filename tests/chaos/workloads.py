"""What the system is doing while it is attacked; each work knows how to prove itself done."""

import hashlib
import json
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psycopg2

from rowboat.errors import AirflowUnreachable, ConnectionLost
from tests.acceptance.conftest import System
from tests.support.killing import Sample, sample

EMPLOYEES, JOBS = "hired_employees.hired_employees", "hired_employees.jobs"
IDS, SPAN = 10_000_000, 50_000  # the ids of a round's file: so many, from there on
SIZES = (1_000, 8_000, 40_000)  # lines
PARKED = 2.5  # seconds: answered in the moment it parks, Airflow 3.3.2 takes a task for lost
# Rows that are posted get ids far from those of the files.
LIFTED = f"""
select setval(pg_get_serial_sequence('{EMPLOYEES}', 'id'), 1500000000)
"""
CHANGED = f"""
with changed as (update {JOBS} set job = job || ' !' where id % 3 = 0 returning 1)
insert into {JOBS} select 100000 + n, 'Deckhand' from generate_series(1, 50) as n returning 1
"""
AS_TEXT = r"""
select string_agg(concat_ws(
    ',', id, employee_name, to_char(hired_date, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    department_id, job_id
), E'\n' order by id) from hired_employees.hired_employees where id = any(%s)
"""


class Place(Protocol):
    """Where a file can be put and the database asked."""

    raw: Path
    environment: dict[str, str]

    def query(self, statement: str, values: Any = None, role: str = ...) -> list[Any]:
        """Ask the database."""

    def put(self, name: str, content: str | bytes) -> None:
        """Put a file into raw_data."""

    def rowboat(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command."""


class Work(ABC):
    """One work of a round, all of it drawn from the round's seed."""

    span = 4.0  # seconds in which a kill may find it in the middle

    def __init__(self, system: Place, seed: int, rng: Random) -> None:
        self.system, self.seed, self.rng = system, seed, rng

    @property
    def about(self) -> str:
        """What is being done, for the log."""
        return type(self).__name__.lower()

    def prepare(self) -> None:  # noqa: B027
        """Begin what has to be there before."""

    def prepared(self) -> bool:
        """Tell whether that is there."""
        return True

    @abstractmethod
    def begin(self) -> None:
        """Start the work."""

    @abstractmethod
    def done(self) -> bool:
        """Tell whether it has ended; called again and again, whatever is dead at the moment."""

    @abstractmethod
    def check(self) -> None:
        """Check what it left, to the last row; raises AssertionError."""


class Ingest(Work):
    """A new file with flawed rows."""

    grows = False

    def __init__(self, system: Place, seed: int, rng: Random, size: int = 0) -> None:
        super().__init__(system, seed, rng)
        self.first, self.size = IDS + seed % 20_000 * SPAN, size or rng.choice(SIZES)
        self.file = sample(
            self.size, rng.choice([0.0, 0.02, 0.2]), self.first, repeats=not self.grows
        )
        self.name, self.version = f"hired_employees-{seed}.csv", 1

    @property
    def about(self) -> str:
        return f"{type(self).__name__.lower()} of {len(self.file.lines):,} lines"

    @property
    def ids(self) -> list[int]:
        """The ids of the good lines."""
        flawed = set(self.file.flawed)
        numbers = range(1, len(self.file.lines) + 1)
        return [self.first + number - 1 for number in numbers if number not in flawed]

    def begin(self) -> None:
        self.system.put(self.name, self.file.text)

    def done(self) -> bool:
        with suppress(psycopg2.Error, ConnectionLost):
            return self.position() == ("loaded", len(self.file.text), self.version)
        return False

    def position(self) -> tuple[str, int, int] | None:
        """Return state, bytes and version of the file."""
        found = self.system.query(
            "select state, loaded_bytes, version from ingest_status.ingest_status"
            " where file_name = %s",
            [self.name],
        )
        return found[0] if found else None

    def check(self) -> None:
        lines, flawed = len(self.file.lines), self.file.flawed
        assert self.system.query(
            "select loaded_lines, read, rejected, inserted + updated + unchanged"
            " from ingest_status.ingest_status where file_name = %s",
            [self.name],
        ) == [(lines, lines, len(flawed), lines - len(flawed))]
        assert self.system.query(
            "select sum(read)::int, sum(rejected)::int from ingest_status.loads"
            " where source_name = %s and version = %s",
            [self.name, self.version],
        ) == [(lines, len(flawed))]
        refused = self.system.query(
            "select line, raw from ingest_status.rejected_rows"
            " where source_name = %s and version = %s order by line",
            [self.name, self.version],
        )
        assert [(line, bytes(raw)) for line, raw in refused] == [
            (number, self.file.lines[number - 1]) for number in flawed
        ], "quarantined lines differ from the flawed lines of the file"
        self.check_rows()

    def check_rows(self) -> None:
        """Check that the rows are those of the good lines, each once."""
        [(text,)] = self.system.query(AS_TEXT, [self.ids])
        assert hashlib.md5(text.encode()).hexdigest() == self.file.good_digest, "rows differ"
        [(count,)] = self.system.query(
            f"select count(*) from {EMPLOYEES} where id >= %s and id < %s",
            [self.first, self.first + self.size],
        )
        assert count == len(self.ids) + self.vanished, "rows that the file does not have"

    @property
    def vanished(self) -> int:
        """Number of rows of an earlier version that this one lacks."""
        return 0


class Append(Ingest):
    """A file that grows at its end."""

    grows = True

    def prepare(self) -> None:
        half = self.rng.randrange(len(self.file.lines)) + 1
        self._whole = self.file
        self.file = Sample(self.file.lines[:half], [n for n in self.file.flawed if n <= half])
        super().begin()

    def prepared(self) -> bool:
        return self.done()

    def begin(self) -> None:
        rest = self._whole.text[len(self.file.text) :]
        self.file = self._whole
        with (self.system.raw / self.name).open("ab") as file:
            file.write(rest)


class Rewrite(Ingest):
    """A file in which rows change and others vanish."""

    def prepare(self) -> None:
        super().begin()

    def prepared(self) -> bool:
        return self.done()

    def begin(self) -> None:
        self._before = set(self.ids)
        kept = self.file.lines[: len(self.file.lines) * 9 // 10]
        self.file = Sample(
            [
                line.replace(b"Name ", b"Renamed ", 1) if self.rng.random() < 0.5 else line
                for line in kept
            ],
            [number for number in self.file.flawed if number <= len(kept)],
        )
        self.version = 2
        super().begin()

    @property
    def vanished(self) -> int:
        return len(self._before - set(self.ids))


class Run(Work):
    """A run of a DAG that is started by hand."""

    dag: str
    system: System

    def __init__(self, system: System, seed: int, rng: Random) -> None:
        super().__init__(system, seed, rng)
        self.run = f"chaos-{seed}-{time.time_ns()}"

    def form(self) -> dict[str, Any]:
        """The form's values."""
        return {}

    def begin(self) -> None:
        body = {"dag_run_id": self.run, "logical_date": None, "conf": self.form()}
        path = f"/api/v2/dags/{self.dag}/dagRuns"
        self.system.airflow._call("POST", path, allowed=(200, 201, 409), json=body)

    def done(self) -> bool:
        with suppress(AirflowUnreachable):
            return self.system.airflow.state(self.dag, self.run) in ("success", "failed")
        return False

    def check(self) -> None:
        state = self.system.airflow.state(self.dag, self.run)
        assert state == "success", f"the run {self.run} is {state}: {self._tasks()}"

    def _tasks(self) -> list[tuple[str, str, int]]:
        found = self.system.airflow.tasks(self.dag, self.run)
        return [(each["task_id"], each["state"], each["try_number"]) for each in found]


class Backup(Run):
    """A set of all tables."""

    dag, span = "backup", 5.0

    def check(self) -> None:
        super().check()
        name = self.system.airflow.result("backup", self.run, "take")["set"]
        check_set(self.system, name)


class Restore(Run):
    """A table brought back to a backup, with its plan approved."""

    dag, span = "restore", 9.0
    _parked: float | None = None

    def prepare(self) -> None:
        done = self.system.rowboat("backup", JOBS, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        self.set = json.loads(done.stdout)["set"]
        self._before = self._jobs()
        self.system.query(CHANGED)

    def like(self, other: "Restore") -> None:
        """Do what another does."""
        self.set, self._before = other.set, other._before

    def form(self) -> dict[str, Any]:
        return {"table": JOBS, "set": self.set, "mode": "replace"}

    def done(self) -> bool:
        with suppress(AirflowUnreachable):
            self._approve()
        return super().done()

    def _approve(self) -> None:
        states = self.system.states(self.dag, self.run)
        if states.get("approve") != "awaiting_input":
            self._parked = None
        elif self._parked is None:
            self._parked = time.monotonic()
        elif time.monotonic() > self._parked + PARKED:
            question = self.system.airflow.question(self.dag, self.run, "approve")
            if not question.get("response_received"):
                self.system.airflow.answer(self.dag, self.run, "approve", "Approve")

    def check(self) -> None:
        super().check()
        self.check_rows()
        restores = self.system.query(
            "select safety_set from backup_status.restores where run = %s", [self.run]
        )
        assert len(restores) == 1, f"the restore was done {len(restores)} times"
        check_set(self.system, restores[0][0])

    def check_rows(self) -> None:
        """Check that the rows are those of the backup."""
        assert self._jobs() == self._before, "the table is not what the backup holds"

    def _jobs(self) -> list[Any]:
        return self.system.query(f"select id, job from {JOBS} order by id")


def check_set(system: Place, name: str) -> None:
    """Check that a set that is on the shelf is whole."""
    if (Path(system.environment["ROWBOAT_BACKUPS"]) / name).exists():
        done = system.rowboat("verify", name, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
