"""The embedded Postgres: one server for many users, private, and back after any crash."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
import pytest

from rowboat.database.credentials import read_credential
from rowboat.database.embedded import HOST, ROLES, SYSTEM_USER, EmbeddedServer
from rowboat.errors import ConnectionLost, HomeUnusable, ServerError
from tests.support.postgres import USER


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose server, if a test has left one running, is stopped at the end."""
    yield tmp_path / "home"
    for record in (tmp_path / "home" / "postgres").glob("data*/postmaster.pid"):
        pid = record.read_text().partition("\n")[0]
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and str(record.parent).encode() in command.read_bytes():
            os.kill(int(pid), signal.SIGQUIT)


@pytest.fixture
def users(home: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts processes that share the home's server."""
    started = []

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def port_of(user: "subprocess.Popen[str]") -> int:
    assert user.stdout
    return int(user.stdout.readline())


def leave(user: "subprocess.Popen[str]") -> None:
    user.communicate("\n", timeout=30)
    assert user.returncode == 0


def postmaster(embedded: EmbeddedServer) -> int:
    return int((embedded.data / "postmaster.pid").read_text().splitlines()[0])


def ask(address: str, statement: str) -> object:
    with closing(psycopg2.connect(address, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return (cursor.fetchone() or (None,))[0] if cursor.description else None


def test_first_start(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    assert embedded.running()
    for role in ROLES:
        assert ask(embedded.uri(role), "select current_user") == role
    assert ask(embedded.uri("airflow", "airflow"), "select current_user") == "airflow"
    owner = embedded.uri("rowboat_owner")
    assert ask(owner, "select current_database()") == "employee_data_db"
    assert int(str(ask(owner, "show server_version_num"))) >= 180000
    assert ask(owner, "show server_encoding") == "UTF8"
    assert (
        ask(owner, "select datcollate from pg_database where datname = current_database()") == "C"
    )
    assert ask(owner, "show timezone") == "UTC"
    embedded.release()
    assert not embedded.running()
    assert not (embedded.data / "postmaster.pid").exists()
    embedded.release()  # twice does no harm


def test_what_was_written_is_there_after_a_restart(home: Path) -> None:
    for expected in (None, "things"):
        embedded = EmbeddedServer(home)
        embedded.acquire()
        owner = embedded.uri("rowboat_owner")
        assert ask(owner, "select to_regclass('things')") == expected
        ask(owner, "create schema if not exists stuff; create table if not exists stuff.a ()")
        if expected is None:
            ask(embedded.uri("postgres"), "create table things ()")
        embedded.release()


def test_users_share_it_and_the_last_one_stops_it(
    home: Path, users: Callable[[], "subprocess.Popen[str]"]
) -> None:
    embedded = EmbeddedServer(home)
    three = [users() for _ in range(3)]  # all at once, at a home that is not there yet
    assert len({port_of(user) for user in three}) == 1
    pid = postmaster(embedded)
    for user in three[:2]:
        leave(user)
        assert embedded.running()
    late = users()
    port_of(late)
    leave(three[2])
    assert embedded.running()
    assert postmaster(embedded) == pid
    leave(late)
    assert not embedded.running()


def test_two_users_in_one_process(home: Path) -> None:
    first, second = EmbeddedServer(home), EmbeddedServer(home)
    first.acquire()
    second.acquire()
    first.release()
    assert ask(second.uri("rowboat_owner"), "select 1") == 1
    second.release()
    assert not second.running()


def test_a_killed_user_leaves_no_trace(
    home: Path, users: Callable[[], "subprocess.Popen[str]"]
) -> None:
    embedded = EmbeddedServer(home)
    killed, other = users(), users()
    assert port_of(killed) == port_of(other)
    killed.kill()
    killed.wait(10)
    assert embedded.running()
    leave(other)
    assert not embedded.running()

    alone = users()
    port_of(alone)
    alone.kill()
    alone.wait(10)
    assert embedded.running()  # nobody was left to stop it
    pid = postmaster(embedded)
    embedded.acquire()
    assert postmaster(embedded) == pid
    embedded.release()
    assert not embedded.running()


def test_a_fork_that_ends_does_not_stop_it(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            embedded.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert embedded.running()
    embedded.release()
    assert not embedded.running()


def test_the_port_stays_and_moves_when_it_is_taken(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    port = embedded.port
    embedded.release()
    embedded.acquire()
    assert embedded.port == port
    embedded.release()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        embedded.acquire()
        moved = embedded.port
        assert moved != port
        assert ask(embedded.uri("rowboat_owner"), "select 1") == 1
        embedded.release()
    embedded.acquire()
    assert embedded.port == moved
    embedded.release()


def test_secrets_are_private_and_generated(home: Path, tmp_path: Path) -> None:
    kept = []
    for place in (home, tmp_path / "other"):
        embedded = EmbeddedServer(place)
        embedded.acquire()
        embedded.release()
        path = place / "secrets.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        kept.append(json.loads(path.read_text()))
        assert set(kept[-1]) == {"postgres", "airflow", *ROLES}
        passwords = "|".join(map(re.escape, kept[-1].values()))
        for file in (place / "postgres").glob("*"):
            if file.is_file():
                assert not re.search(passwords, file.read_text())
    values = [value for each in kept for value in each.values()]
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 43


def test_nobody_comes_in_with_a_wrong_password_or_none(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    for role in ("postgres", "airflow", *ROLES):
        for guess in ("", "postgres", role, "password", "rowboat"):
            address = f"postgresql://{role}:{guess}@127.0.0.1:{embedded.port}/employee_data_db"
            with pytest.raises(psycopg2.OperationalError, match=r"authentication failed|password"):
                psycopg2.connect(address, connect_timeout=5)
    rules = (embedded.data / "pg_hba.conf").read_text().splitlines()
    methods = {line.split()[-1] for line in rules if line.strip() and not line.startswith("#")}
    assert methods == {"scram-sha-256"}
    embedded.release()


def test_it_listens_on_loopback_only(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    assert listeners(embedded.port) == {"0100007F"}
    assert ask(embedded.uri("postgres"), "show unix_socket_directories") == ""
    embedded.release()


def listeners(port: int) -> set[str]:
    """Return the addresses, as Linux writes them, on which somebody listens at a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            address, number = line.split()[1].split(":")
            if line.split()[3] == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_postmaster_comes_back(home: Path, busy: bool) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    owner = embedded.uri("rowboat_owner")
    ask(owner, "create schema kept")
    with closing(psycopg2.connect(owner)) as connection, connection.cursor() as cursor:
        if busy:
            cursor.execute("create schema lost")
        os.kill(postmaster(embedded), signal.SIGKILL)
        while _is_alive(postmaster(embedded)):
            time.sleep(0.001)
        other = EmbeddedServer(home)
        other.acquire()
    owner = other.uri("rowboat_owner")
    assert ask(owner, "select to_regnamespace('kept') is not null") is True
    assert ask(owner, "select to_regnamespace('lost') is null") is True
    embedded.release()
    assert other.running()
    other.release()
    assert not other.running()


def test_a_killed_postmaster_is_revived_where_it_was(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    assert not embedded.revive()
    owner = embedded.uri("rowboat_owner")
    os.kill(pid := postmaster(embedded), signal.SIGKILL)
    while _is_alive(pid):
        time.sleep(0.001)
    assert embedded.revive()
    assert ask(owner, "select 1") == 1
    embedded.release()


def test_a_home_that_cannot_be_used(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    said = f"{re.escape(str(taken))}/home(/postgres)? cannot be used: not a directory\nHINT: free"
    with pytest.raises(HomeUnusable, match=f"^{said}"):
        EmbeddedServer(taken / "home").acquire()
    with pytest.raises(HomeUnusable, match=f"^{said}"):
        read_credential(taken / "home", "airflow_admin")


def test_it_is_not_revived_elsewhere(home: Path) -> None:
    """Everybody has been told the port; a server behind another would be found by nobody."""
    embedded = EmbeddedServer(home)
    embedded.acquire()
    port = embedded.port
    embedded.cluster.control("stop", "-m", "immediate")
    with pytest.raises(ConnectionLost, match=r"^the embedded Postgres is not running\n"):
        embedded.uri("rowboat_owner")
    with socket.create_server((HOST, port)):
        with pytest.raises(ServerError, match=f"port {port}, at which clients expect"):
            embedded.revive()
        assert not embedded.running()
    assert embedded.revive()
    assert embedded.port == port
    embedded.release()


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_pid_of_a_dead_server_may_be_somebody_elses(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    record = (embedded.data / "postmaster.pid").read_text()
    embedded.release()
    _, _, rest = record.partition("\n")
    (embedded.data / "postmaster.pid").write_text(f"{os.getpid()}\n{rest}")
    embedded.acquire()
    assert ask(embedded.uri("rowboat_owner"), "select 1") == 1
    embedded.release()


def test_an_interrupted_first_start_is_begun_again(home: Path) -> None:
    leftover = home / "postgres" / "data.new"
    (leftover / "base").mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    (home / "postgres" / "password").write_text("forgotten")
    if os.geteuid() == 0:
        for path in home.rglob("*"):
            shutil.chown(path, SYSTEM_USER)
    embedded = EmbeddedServer(home)
    embedded.acquire()
    assert ask(embedded.uri("rowboat_owner"), "select 1") == 1
    embedded.release()
    assert sorted(path.name for path in (home / "postgres").iterdir()) == [
        *("control.log", "data", "gate", "server.log", "users")
    ]


def test_kills_during_the_first_start(
    home: Path, users: Callable[[], "subprocess.Popen[str]"]
) -> None:
    folder = home / "postgres"
    sights = ("gate", "data.new/PG_VERSION", "data.new/postmaster.pid", "data.new/base/[1-9]????")
    for sight in sights:
        user = users()
        while not any(folder.glob(sight)):
            assert user.poll() is None
            assert not (folder / "data").exists()
            time.sleep(0.001)
        user.kill()
        user.wait(10)
    embedded = EmbeddedServer(home)
    embedded.acquire()
    for role in ROLES:
        assert ask(embedded.uri(role), "select current_user") == role
    embedded.release()
    assert not embedded.running()


@pytest.mark.parametrize(
    "name",
    ["with some spaces", "Zoë's 渡し舟 ⛵", "long/" + "er/" * 40],
)
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir(parents=True)
    if "long" in name:
        assert len(str(place)) > 107
    embedded = EmbeddedServer(place)
    for _ in range(2):
        embedded.acquire()
        assert ask(embedded.uri("rowboat_loader"), "select current_user") == "rowboat_loader"
        embedded.release()
    assert not embedded.running()


def test_a_start_that_fails_says_where_to_look(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.acquire()
    embedded.release()
    with (embedded.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServerError) as failed:
        embedded.acquire()
    assert failed.value.fact.startswith(f"pg_ctl failed for {embedded.data}: ")
    assert failed.value.hint == (
        f"the whole output is in {embedded.folder}/control.log, "
        f"the server's own log in {embedded.folder}/server.log"
    )
    assert "no_such_setting" in (embedded.folder / "server.log").read_text()
