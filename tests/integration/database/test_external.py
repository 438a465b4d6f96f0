"""A database of the user's own: one login without powers, TLS, a pooler, and what is wrong."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner
from psycopg2 import sql
from psycopg2.extensions import make_dsn, parse_dsn

from rowboat.cli.commands import main
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.database.embedded import HOST, SUPERUSER, EmbeddedServer, free_port
from rowboat.errors import ConnectionLost, DatabaseRefused
from rowboat.settings import settings
from tests.conftest import Boat
from tests.support.postgres import Authority, of_tests, relay

CUSTOMER, PASSWORD = "customer", "p w@/%?#"
TLS = (
    "check sslmode, sslrootcert, sslcert and sslkey in ROWBOAT_DATABASE_URL, and that the "
    "server's certificate names its host"
)


class Rented:
    """A database of an administrator's own in which the role `customer` may make schemas."""

    def __init__(self, embedded: EmbeddedServer) -> None:
        self.server = embedded
        self.address = f"postgresql://{CUSTOMER}:p%20w%40%2F%25%3F%23@{HOST}:{embedded.port}/rented"

    def administrate(self, *statements: str, place: str = "rented") -> None:
        address = self.server.uri(SUPERUSER, place)
        with closing(psycopg2.connect(address)) as connection:
            connection.autocommit = True
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(sql.SQL(statement).format(sql.Identifier(CUSTOMER)))

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its document."""
        done = CliRunner().invoke(main, [*arguments, "--json"])
        assert done.exit_code == code, done.output
        assert PASSWORD not in done.output
        return json.loads(done.stdout)

    def checked(self) -> dict[str, tuple[bool, str, str | None]]:
        found = self.run("check", code=1)  # there is neither Airflow nor API
        return {each["part"]: (each["ok"], each["fact"], each["hint"]) for each in found}


@pytest.fixture
def rented(
    postgres: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rented]:
    found = Rented(postgres)
    found.administrate(
        f"create role {{}} login password '{PASSWORD}'",
        "create database rented",
        "revoke all on database rented from public",
        "grant connect, temporary, create on database rented to {}",
        place="postgres",
    )
    for name, value in {
        "DATABASE_URL": found.address, "HOME": str(tmp_path / "home"), "SETTLE": "0",
        "BACKUPS": str(tmp_path / "backups"), "AIRFLOW_PORT": str(free_port()),
        "API_PORT": str(free_port()),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"ROWBOAT_{name}", value)
    settings.cache_clear()
    yield found
    settings.cache_clear()
    found.administrate("drop database rented with (force)", "drop role {}", place="postgres")


def test_one_login_without_powers_does_everything(rented: Rented) -> None:
    rented.run("migrate")
    numbers = rented.run("ingest")["totals"]
    assert (numbers["read"], numbers["inserted"], numbers["rejected"]) == (2_192, 2_135, 57)
    taken = rented.run("backup")
    assert taken["findings"] == []
    assert rented.run("drill")["ok"] is True
    rented.administrate("delete from hired_employees.jobs where id < 20")
    done = rented.run("restore", "--all", "--yes")
    assert rented.run("undo", str(done["id"]), "--yes")
    rented.run("restore", "--all", "--yes")
    again = rented.run("backup")
    assert [each["digest"] for each in again["tables"]] == [
        each["digest"] for each in taken["tables"]
    ]
    rented.run("keys", "create", "mobile", "--scope", "read")
    assert rented.run("metric", "quarters", "--year", "2021")
    assert rented.checked()["rights"] == (
        True, "customer may load rows; foreign keys are checked row by row, which is slower: "
        "docs/managed.md", None,
    )  # fmt: skip


def test_a_right_that_is_missing_is_named(rented: Rented) -> None:
    assert rented.checked()["schema"] == (
        False,
        "does not exist",
        "run `rowboat migrate` as its owner",
    )
    rented.administrate("revoke create on database rented from {}")
    assert rented.run("migrate", code=1) == {
        "error": "the role customer may not create a schema in the database rented",
        "hint": 'let an administrator grant it: grant create on database "rented" to "customer"',
    }
    rented.administrate('grant create on database "rented" to "customer"')
    rented.run("migrate")
    rented.administrate("revoke create on database rented from {}")
    assert rented.run("migrate") == {"ran": []}
    rented.administrate("revoke temporary on database rented from {}")
    assert rented.checked()["rights"] == (
        False, "customer may not create temporary tables",
        'let an administrator grant it: grant temporary on database "rented" to "customer"',
    )  # fmt: skip
    rented.administrate("grant temporary on database rented to {}",
                        "revoke update on hired_employees.jobs from {}")  # fmt: skip
    assert rented.checked()["rights"][:2] == (
        False, "customer may not read and change hired_employees.jobs",
    )  # fmt: skip


def test_a_migration_that_lacks_a_right(rented: Rented, tmp_path: Path) -> None:
    rented.run("migrate")
    folder = settings().migrations
    (tmp_path / "migrations").mkdir()
    for path in folder.glob("*.sql"):
        (tmp_path / "migrations" / path.name).write_bytes(path.read_bytes())
    text = "-- migrate:up\ncreate role friend;\n-- migrate:down\n"
    (tmp_path / "migrations" / "0900_more.sql").write_text(text)
    settings().migrations = tmp_path / "migrations"
    assert rented.run("migrate", code=1) == {
        "error": "0900_more: permission denied to create role",
        "hint": "let an administrator give the role that right, then run `rowboat migrate` again",
    }


def test_a_database_that_cannot_hold_every_text(rented: Rented) -> None:
    rented.administrate("drop database rented", place="postgres")
    rented.administrate(
        "create database rented encoding 'LATIN1' locale_provider libc locale 'C' "
        "template template0",
        place="postgres",
    )
    place = f"{HOST}:{rented.server.port}"
    assert rented.checked()["postgres"] == (
        False, f"the database at {place} is in LATIN1; Rowboat needs UTF8",
        "create another with `create database NAME encoding 'UTF8' template template0`",
    )  # fmt: skip


def test_a_standby(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = of_tests(tmp_path / "home")
    copy.acquire()
    copy.release()
    (copy.data / "standby.signal").touch()
    copy.acquire()
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", copy.uri("rowboat_owner"))
    settings.cache_clear()
    found = Rented(copy)
    _, fact, hint = found.checked()["postgres"]
    assert fact.endswith(
        "answers as the role rowboat_owner, but is a standby, which accepts no writes"
    )
    assert hint == "set ROWBOAT_DATABASE_URL to the primary"
    assert found.run("migrate", code=1)["hint"] == (
        "it may be a standby: set ROWBOAT_DATABASE_URL to the primary, or add "
        "target_session_attrs=read-write to it"
    )
    copy.release()
    settings.cache_clear()


def test_a_pooler_gets_no_options_at_the_start(boat: Boat) -> None:
    address = boat.uri("api")
    with relay(int(parse_dsn(address)["port"])) as port:
        through = make_dsn(address, port=port)
        with pytest.raises(psycopg2.OperationalError, match="unsupported startup parameter"):
            psycopg2.connect(make_dsn(through, options="-c timezone=UTC"))
        opened = connections.connect(through, {"lock_timeout": "1234"})
        with closing(opened), transaction(opened) as cursor:
            cursor.execute("select current_setting('timezone'), current_setting('lock_timeout')")
            assert cursor.fetchone() == ("UTC", "1234ms")


def test_options_of_the_address_hold(boat: Boat) -> None:
    address = make_dsn(boat.uri("owner"), options="-c role=rowboat_owner -c geqo=off",
                       application_name="mine")  # fmt: skip
    opened = connections.connect(address)
    with closing(opened), transaction(opened) as cursor:
        cursor.execute("select current_setting('geqo'), current_setting('application_name'),"
                       " current_setting('datestyle')")  # fmt: skip
        assert cursor.fetchone() == ("off", "mine", "ISO, YMD")


def test_a_server_that_is_too_old(boat: Boat) -> None:
    address = boat.uri("loader")
    behind = int(parse_dsn(address)["port"])
    with relay(behind, version="15") as port, pytest.raises(DatabaseRefused) as refused:
        connections.connect(make_dsn(address, port=port))
    assert str(refused.value) == (
        f"the database at 127.0.0.1:{port} is Postgres 15; Rowboat needs 16 or newer\n"
        "HINT: upgrade it, or set ROWBOAT_DATABASE_URL to another"
    )


@pytest.fixture
def guarded(boat: Boat, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Make addresses of the database behind TLS that wants a client's certificate."""
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    wanted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wanted.load_cert_chain(*ours.certify("server", HOST))
    wanted.load_verify_locations(ours.file)
    wanted.verify_mode = ssl.CERT_REQUIRED
    certificate, key = ours.certify("client")
    address = boat.uri("loader")
    with relay(int(parse_dsn(address)["port"]), wanted) as port:

        def make(**more: Any) -> str:
            roots = {"sslrootcert": others.file} if more.pop("stranger", False) else {}
            names = {"sslmode": "verify-full", "sslrootcert": ours.file, "sslcert": certificate,
                     "sslkey": key}  # fmt: skip
            return make_dsn(address, port=port, **(names | roots | more))

        yield make


def test_tls_with_both_sides_known(guarded: Callable[..., str]) -> None:
    opened = connections.connect(guarded())
    with closing(opened), transaction(opened) as cursor:
        cursor.execute("select count(*) from hired_employees.departments")
        assert opened.info.ssl_in_use
        assert opened.info.ssl_attribute("protocol") == "TLSv1.3"


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        ({"stranger": True}, "SSL error: certificate verify failed"),
        ({"host": "localhost"}, 'does not match host name "localhost"'),
        ({"sslrootcert": "/nowhere"}, 'root certificate file "/nowhere" does not exist'),
        ({"sslkey": "/nowhere"}, 'private key file "/nowhere"'),
    ],
)
def test_tls_that_fails_names_the_reason(
    guarded: Callable[..., str], more: dict[str, Any], fact: str
) -> None:
    address = guarded(**more)
    with pytest.raises(ConnectionLost) as lost:
        connections.connect(address)
    assert fact in lost.value.fact
    assert lost.value.hint == TLS
    assert parse_dsn(address)["password"] not in str(lost.value)


def test_no_tls_where_it_is_wanted(boat: Boat) -> None:
    with pytest.raises(ConnectionLost) as lost:
        connections.connect(make_dsn(boat.uri("loader"), sslmode="require"))
    assert lost.value.fact.endswith("server does not support SSL, but SSL was required")
    assert lost.value.hint == TLS
