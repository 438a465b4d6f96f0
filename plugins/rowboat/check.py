"""Looks whether the parts of a system work; each finding names the remedy."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from rowboat import database, migrations, sets
from rowboat.database import Connection, transaction
from rowboat.errors import RowboatError
from rowboat.settings import settings

_OLD = 2 * 86_400  # seconds after which the newest backup should long have had a successor


@dataclass(frozen=True)
class Finding:
    """One part: whether it works, what was seen, and what to do where it does not."""

    part: str
    ok: bool
    fact: str
    hint: str | None = None


def everything(airflow: Callable[[], bool]) -> Iterator[Finding]:
    """Look at every part of this machine's system; `airflow` tells whether Airflow is healthy."""
    yield from of_database()
    yield folder("raw_data", settings().raw_data)
    yield of_airflow(airflow())
    yield of_api()


def of_database() -> Iterator[Finding]:
    """Look at Postgres, its schema, and the shelf as far as its record is needed."""
    try:
        with database.session("loader") as connection:
            yield Finding("postgres", True, "answers")
            yield _worded("schema", lambda: _schema(connection))
            yield shelf(settings().backups)
            yield _worded("newest backup", lambda: _newest_backup(connection))
    except RowboatError as error:
        yield Finding("postgres", False, error.fact, error.hint)


def folder(part: str, path: Path) -> Finding:
    """Look whether a folder can be read and written."""
    if not path.is_dir():
        return Finding(part, False, f"there is no folder {path}", "make it, or set "
                       f"ROWBOAT_{part.upper()}")  # fmt: skip
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(part, False, f"{path} cannot be read and written", "give this user the "
                       "right to read and write it")  # fmt: skip
    return Finding(part, True, f"{path} can be read and written")


def shelf(path: Path) -> Finding:
    """Look at the folder of backups, or at the one in which the first backup makes it."""
    whole = path.absolute()
    return folder("backups", next(each for each in (whole, *whole.parents) if each.exists()))


def of_airflow(healthy: bool) -> Finding:
    """Word whether Airflow is healthy."""
    if healthy:
        return Finding("airflow", True, "is healthy")
    return Finding("airflow", False, "is not healthy or does not answer", "start it with `rowboat "
                   "up`, or look into ROWBOAT_HOME/logs")  # fmt: skip


def of_api() -> Finding:
    """Ask the API whether it is ready."""
    address = api_address()
    try:
        ready = httpx.get(f"{address}/ready", timeout=10, trust_env=False).is_success
    except httpx.HTTPError:
        return Finding("api", False, f"{address} does not answer", "start it with `rowboat serve`")
    if ready:
        return Finding("api", True, f"{address} is ready")
    return Finding("api", False, f"{address} is not ready", f"{address}/ready tells why")


def api_address() -> str:
    """Return where the API is reached from this machine."""
    now = settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(now.api_host, now.api_host)  # noqa: S104
    return f"http://{host}:{now.api_port}"


def _worded(part: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except RowboatError as error:
        return Finding(part, False, error.fact, error.hint)


def _schema(connection: Connection) -> Finding:
    known = {each.number: each.name for each in migrations.read(settings().migrations)}
    with transaction(connection) as cursor:
        done = migrations.applied(cursor)
    missing = [known[number] for number in sorted(known.keys() - done.keys())]
    if missing:
        return Finding("schema", False, f"{', '.join(missing)} is missing", "run `rowboat migrate`")
    return Finding("schema", True, "is up to date")


def _newest_backup(connection: Connection) -> Finding:
    with transaction(connection) as cursor:
        found = sets.newest(cursor)
    seconds = (datetime.now(UTC) - found.taken_at).total_seconds()
    fact = f"{found.name} is verified and {seconds / 3600:,.0f} hours old"
    if seconds > _OLD:
        return Finding("newest backup", False, fact, "look at the DAG backup; `rowboat backup` "
                       "takes one now")  # fmt: skip
    return Finding("newest backup", True, fact)
