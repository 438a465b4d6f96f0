"""Checks whether the parts of a system work; each finding says what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from rowboat.address import Address
from rowboat.backup import sets
from rowboat.catalog import migrations
from rowboat.catalog.tables import read_catalog
from rowboat.database import connections
from rowboat.database.connections import Connection, fetch_one, transaction
from rowboat.database.statements import query
from rowboat.errors import RowboatError
from rowboat.ingest import file_states
from rowboat.ingest.changes.lost_rows import find_lost_rows
from rowboat.settings import settings
from rowboat.storage import opening

_OLD = 2 * 86_400  # seconds; a backup is taken every night, so one this old means trouble
_APART = 60  # seconds: more than network delay can explain between two clocks


@dataclass(frozen=True)
class Finding:
    """One part: whether it works, what was found, and what to do if it does not work."""

    part: str
    ok: bool
    fact: str
    hint: str | None = None


def check_everything(airflow: Callable[[], list[str] | None]) -> Iterator[Finding]:
    """Check every part of the system on this machine.

    `airflow` returns the unhealthy parts of Airflow, or None if Airflow does not answer.
    """
    yield from check_database()
    yield check_raw_data(settings().raw_data)
    yield _worded("files", check_files)
    yield _worded("loaded rows", check_loaded_rows)
    yield check_airflow(airflow())
    yield check_api()


def check_database() -> Iterator[Finding]:
    """Check Postgres, the schema, the rights of the role, the shelf and the newest backup."""
    try:
        with connections.session("loader") as connection:
            yield _worded("postgres", lambda: _server(connection))
            yield (schema := _worded("schema", lambda: _schema(connection)))
            if schema.ok:
                yield _worded("rights", lambda: _rights(connection))
            yield check_shelf(settings().backups)
            if schema.ok:
                yield _worded("newest backup", lambda: _newest_backup(connection))
    except RowboatError as error:
        yield Finding("postgres", False, error.fact, error.hint)


def check_raw_data(place: Address) -> Finding:
    """Check whether the folder of files can be used."""
    look = opening.open_folder(place).look
    return _worded("raw_data", lambda: Finding("raw_data", True, look("ROWBOAT_RAW_DATA")))


def check_files() -> Finding:
    """Check whether any file in raw_data could not be loaded."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        failed = [
            each.file_name
            for each in file_states.present_positions(cursor)
            if each.state == "failed"
        ]
    if failed:
        some = ", ".join(failed[:5]) + (", …" if len(failed) > 5 else "")
        words = "1 file has" if len(failed) == 1 else f"{len(failed):,} files have"
        return Finding("files", False, f"{words} failed: {some}", "`rowboat status` says why")
    return Finding("files", True, "no file has failed")


def check_loaded_rows() -> Finding:
    """Check whether the tables still hold what the files in raw_data brought."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        lost = find_lost_rows(cursor, read_catalog(cursor))
        present = [each.file_name for each in file_states.present_positions(cursor)]
    found = list(dict.fromkeys(lost[name] for name in present if name in lost))
    if found:
        more = f" ({len(found) - 1:,} more: `rowboat status`)" if found[1:] else ""
        return Finding("loaded rows", False, f"{found[0].fact}{more}", found[0].hint)
    return Finding("loaded rows", True, "no table is known to lack rows that were loaded")


def check_shelf(place: Address) -> Finding:
    """Check whether the shelf of backups can be used."""
    return _worded("backups", lambda: Finding("backups", True, opening.open_shelf(place).look()))


def check_airflow(ailing: list[str] | None) -> Finding:
    """Return the finding about Airflow, given its unhealthy parts (None: no answer)."""
    if ailing is None:
        return Finding("airflow", False, "does not answer", "start it with `rowboat up`, or look "
                       "in ROWBOAT_HOME/logs")  # fmt: skip
    if ailing:
        return Finding("airflow", False, "answers, but these parts are unhealthy: "
                       f"{', '.join(ailing)}", "look in ROWBOAT_HOME/logs; `rowboat up` restarts "
                       "parts that have ended")  # fmt: skip
    return Finding("airflow", True, "is healthy")


def check_api() -> Finding:
    """Ask the API whether it is ready."""
    address = api_address()
    try:
        ready = httpx.get(f"{address}/ready", timeout=10, trust_env=False).is_success
    except httpx.HTTPError:
        return Finding("api", False, f"{address} does not answer", "start it with `rowboat serve`")
    if ready:
        return Finding("api", True, f"{address} is ready")
    return Finding("api", False, f"{address} is not ready", f"{address}/ready says why")


def api_address() -> str:
    """Return the URL at which this machine reaches the API."""
    now = settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(now.api_host, now.api_host)  # noqa: S104
    return f"http://{host}:{now.api_port}"


def _worded(part: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except RowboatError as error:
        return Finding(part, False, error.fact, error.hint)


def _server(connection: Connection) -> Finding:
    """Check that the server accepts writes, and that its clock agrees with this machine's."""
    with transaction(connection) as cursor:
        cursor.execute(query("health.server"))
        version, role, standby, clock = fetch_one(cursor)
    apart = (clock - datetime.now(UTC)).total_seconds()
    fact = f"Postgres {version} answers as the role {role}"
    if standby:
        return Finding("postgres", False, f"{fact}, but is a standby, which accepts no writes",
                       "set ROWBOAT_DATABASE_URL to the primary")  # fmt: skip
    if abs(apart) > _APART:
        return Finding("postgres", False, f"{fact}, but its clock is {apart:+,.0f} seconds off "
                       "this machine's", "synchronise both by NTP")  # fmt: skip
    return Finding("postgres", True, fact)


def _rights(connection: Connection) -> Finding:
    """Check whether the role may load rows, and whether it may skip row triggers to do so."""
    with transaction(connection) as cursor:
        tables = [table.full_name for table in read_catalog(cursor)]
        cursor.execute(query("health.rights"), {"tables": tables})
        role, name, may_stage, may_skip, refused = fetch_one(cursor)
    if not may_stage:
        return Finding("rights", False, f"{role} may not create temporary tables",
                       "let an administrator grant it: grant temporary on database "
                       f'"{name}" to "{role}"')  # fmt: skip
    if refused:
        return Finding("rights", False, f"{role} may not read and change {', '.join(refused)}",
                       "run `rowboat migrate` as the owner; it grants to rowboat_loader and "
                       "rowboat_api, so make this login one of them")  # fmt: skip
    way = "set by set" if may_skip else "row by row, which is slower: docs/managed.md"
    return Finding("rights", True, f"{role} may load rows; foreign keys are checked {way}")


def _schema(connection: Connection) -> Finding:
    known = {each.number: each.name for each in migrations.read_migrations(settings().migrations)}
    with transaction(connection) as cursor:
        cursor.execute(query("health.is_migrated"))
        if not fetch_one(cursor)[0]:
            return Finding("schema", False, "does not exist", "run `rowboat migrate` as its owner")
        done = migrations.applied_migrations(cursor)
    if more := sorted(done.keys() - known.keys()):
        return Finding("schema", False, f"has migration {more[-1]:04}, which this version of "
                       "Rowboat lacks", "use the version of Rowboat that applied it")  # fmt: skip
    missing = [known[number] for number in sorted(known.keys() - done.keys())]
    if missing:
        return Finding("schema", False, f"{', '.join(missing)} is missing", "run `rowboat migrate`")
    return Finding("schema", True, "is up to date")


def _newest_backup(connection: Connection) -> Finding:
    with transaction(connection) as cursor:
        found = sets.newest_set(cursor)
    seconds = (datetime.now(UTC) - found.taken_at).total_seconds()
    if seconds < -_APART:
        return Finding("newest backup", False, f"{found.name} was taken {-seconds / 3600:,.1f} "
                       "hours from now", "this machine's clock was set back, or was ahead then: "
                       "synchronise it by NTP")  # fmt: skip
    fact = f"{found.name} is verified and {seconds / 3600:,.0f} hours old"
    if seconds > _OLD:
        return Finding("newest backup", False, fact, "look at the DAG backup; `rowboat backup` "
                       "takes one now")  # fmt: skip
    return Finding("newest backup", True, fact)
