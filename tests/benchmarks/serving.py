"""A server and an API of a benchmark's own."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen

import httpx

from rowboat import database, keys, migrations, server
from rowboat.database import transaction
from rowboat.settings import settings


@contextmanager
def migrated(scope: str) -> Iterator[tuple[server.EmbeddedServer, str]]:
    """Run an embedded server with the schema; yields it and a key of the API."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "ROWBOAT_HOME": folder + "/home",
            "ROWBOAT_API_PORT": str(server.free_port()),
        }
        settings.cache_clear()
        embedded = server.EmbeddedServer(settings().home)
        embedded.acquire()
        try:
            with closing(database.connect(embedded.uri("rowboat_owner"))) as owner:
                migrations.migrate(owner)
                with transaction(owner) as cursor:
                    _, token = keys.create(cursor, "benchmark", scope, per_minute=1_000_000)
            yield embedded, token
        finally:
            embedded.release()


@contextmanager
def serving() -> Iterator[str]:
    """Run the API until the end of the block."""
    address = f"http://{server.HOST}:{settings().api_port}"
    said = settings().home / "serve.log"
    with said.open("wb") as log:
        program = Popen(
            [Path(sys.executable).with_name("rowboat"), "serve"], stdout=log, stderr=log
        )
    try:
        while True:
            try:
                if httpx.get(address + "/health", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                assert program.poll() is None, said.read_text()
                time.sleep(0.1)
        yield address
    finally:
        program.terminate()
        program.wait()
