"""Metrics over HTTP: cached ones at 200 requests per second, uncached ones against their bare SQL.

    .venv/bin/python -m tests.benchmarks.metrics [ROWS]

Builds its own rows (default: a million hires), starts its own embedded server and the API as
`rowboat serve` does. Uncached: somebody writes before each request; A B A B …, medians of ratios
with their least and greatest. A wrong answer fails, none fails by time.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

from rowboat import database, server
from rowboat.database import Connection, transaction
from rowboat.metrics import metric
from tests.benchmarks.backups import fill, run
from tests.benchmarks.serving import migrated, serving

PAIRS = 15
RATE, SECONDS, CLIENTS = 200, 20, 8
NAMES = ("quarters", "departments")
TOUCH = "update hired_employees.departments set department = department where id = 1"


def main() -> None:
    """Measure both."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with migrated("read") as (embedded, token):
        fill(embedded, rows)
        print(f"{rows:,} hires")
        with serving() as address:
            for name in NAMES:
                uncached(embedded, address, token, name)
            for name in NAMES:
                cached(address, token, name)


def uncached(embedded: server.EmbeddedServer, address: str, token: str, name: str) -> None:
    """Print the ratio of a metric over HTTP, all included, to its SQL over one connection."""
    found = []
    with (
        closing(database.connect(embedded.uri("rowboat_api"))) as bare,
        closing(HTTPConnection(urlsplit(address).netloc)) as http,
    ):
        for _ in range(PAIRS):
            run(embedded, TOUCH)
            ours = ask(http, name, token)
            found.append((ours, in_sql(bare, name)))
    ratios = sorted(mine / other for mine, other in found)
    ours, theirs = (statistics.median(each) * 1000 for each in zip(*found, strict=True))
    print(f"uncached {name}: {ours:.1f} ms, its bare SQL {theirs:.1f} ms")
    told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"uncached {name} / bare SQL  {told}", flush=True)


def cached(address: str, token: str, name: str) -> None:
    """Print how long a cached metric takes, from the moment at which it was due."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.perf_counter() + 1
        clients = [
            pool.submit(client, address, token, name, begin + at / RATE) for at in range(CLIENTS)
        ]
        times = sorted(each for client_ in clients for each in client_.result())
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    told = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {times[-1] * 1000:.1f} ms"
    print(f"cached {name}, {RATE} requests per second for {SECONDS} s: {told}", flush=True)


def client(address: str, token: str, name: str, begin: float) -> list[float]:
    """Send every so manieth request when it is due; return how long each took from then."""
    found = []
    with closing(HTTPConnection(urlsplit(address).netloc)) as http:
        ask(http, name, token)
        for n in range(RATE * SECONDS // CLIENTS):
            due = begin + n * CLIENTS / RATE
            time.sleep(max(0, due - time.perf_counter()))
            ask(http, name, token)
            found.append(time.perf_counter() - due)
    return found


def ask(http: HTTPConnection, name: str, token: str) -> float:
    """Ask for a metric and return the seconds that it took."""
    begun = time.perf_counter()
    http.request("GET", f"/api/2021/{name}", headers={"Authorization": f"Bearer {token}"})
    answer = http.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return time.perf_counter() - begun


def in_sql(connection: Connection, name: str) -> float:
    """Run the statement of a metric alone and return the seconds that it took."""
    begun = time.perf_counter()
    with transaction(connection) as cursor:
        cursor.execute(metric(name).statement, {"year": 2021})
        assert cursor.fetchall()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
