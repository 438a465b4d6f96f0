"""Metrics over HTTP: cached ones at 200 requests per second, uncached ones against their bare SQL.

    .venv/bin/python -m tests.benchmarks.metrics [ROWS]

Builds its own rows (default: a million hires), starts its own embedded server and the API as
`rowboat serve` does. Uncached: somebody writes before each request; A B A B …, medians of ratios
with their least and greatest. Cached: spells of requests in turn with as many to /health, which
does nothing, so that what the machine itself holds up is seen. A wrong answer fails, none fails by
time.
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
RATE, SECONDS, CLIENTS, SPELLS = 200, 5, 8, 8
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
            ours = ask(http, f"/api/2021/{name}", token)
            found.append((ours, in_sql(bare, name)))
    ratios = sorted(mine / other for mine, other in found)
    ours, theirs = (statistics.median(each) * 1000 for each in zip(*found, strict=True))
    print(f"uncached {name}: {ours:.1f} ms, its bare SQL {theirs:.1f} ms")
    told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"uncached {name} / bare SQL  {told}", flush=True)


def cached(address: str, token: str, name: str) -> None:
    """Print how long a cached metric takes, from the moment at which it was due, and /health."""
    asked = f"/api/2021/{name}", "/health"
    found: dict[str, list[tuple[float, float]]] = {path: [] for path in asked}
    for _ in range(SPELLS):
        for path in asked:
            found[path].append(spell(address, token, path))
    print(f"cached {name}, {SPELLS} spells of {SECONDS} s at {RATE} requests per second:")
    for path, times in found.items():
        p50, p99 = (sorted(each) for each in zip(*times, strict=True))
        told = f"{statistics.median(p99):.1f} ms ({p99[0]:.1f} to {p99[-1]:.1f})"
        print(f"  {path:22} p50 {statistics.median(p50):.1f} ms, p99 {told}", flush=True)


def spell(address: str, token: str, path: str) -> tuple[float, float]:
    """Send requests for a while; return the median and the 99th percentile in milliseconds."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.perf_counter() + 0.2
        clients = [
            pool.submit(client, address, token, path, begin + at / RATE) for at in range(CLIENTS)
        ]
        times = sorted(each for client_ in clients for each in client_.result())
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    return p50, p99


def client(address: str, token: str, path: str, begin: float) -> list[float]:
    """Send every so manieth request when it is due; return how long each took from then."""
    found = []
    with closing(HTTPConnection(urlsplit(address).netloc)) as http:
        ask(http, path, token)
        for n in range(RATE * SECONDS // CLIENTS):
            due = begin + n * CLIENTS / RATE
            time.sleep(max(0, due - time.perf_counter()))
            ask(http, path, token)
            found.append(time.perf_counter() - due)
    return found


def ask(http: HTTPConnection, path: str, token: str) -> float:
    """Send a request and return the seconds that its answer took."""
    begun = time.perf_counter()
    http.request("GET", path, headers={"Authorization": f"Bearer {token}"})
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
