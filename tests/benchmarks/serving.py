"""The API of a benchmark's own."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen

import httpx

from rowboat.access import keys
from rowboat.database import connections, embedded
from rowboat.database.connections import transaction
from rowboat.settings import settings
from tests.benchmarks.places import Place


def key(at: Place, scope: str) -> str:
    """Return a new key of the API."""
    with (
        closing(connections.connect(at.server.uri("rowboat_owner"))) as owner,
        transaction(owner) as cursor,
    ):
        _, token = keys.create_key(cursor, f"benchmark {scope}", scope, per_minute=1_000_000)
    return token


@contextmanager
def serving() -> Iterator[str]:
    """Run the API until the end of the block; yields its address."""
    address = f"http://{embedded.HOST}:{settings().api_port}"
    said = settings().home / "serve.log"
    with said.open("wb") as log:
        program = Popen(
            [Path(sys.executable).with_name("rowboat"), "serve"], stdout=log, stderr=log
        )
    try:
        while not answers(address):
            assert program.poll() is None, said.read_text()
            time.sleep(0.1)
        yield address
    finally:
        program.terminate()
        program.wait()


def answers(address: str) -> bool:
    """Tell whether a service is there."""
    try:
        return httpx.get(address + "/health", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
