"""Metrics over HTTP: uncached ones against their bare SQL, cached ones at 200 requests per second.

Uncached: somebody writes before each request. Cached: spells of requests in turn with as many to
/health, which does nothing, so that what the machine itself holds up is seen.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.metrics.definitions import find_metric
from tests.benchmarks.compare import OURS, Ratio, Target, compare
from tests.benchmarks.places import Place
from tests.benchmarks.serving import key, serving

ROUNDS = 7
RATE, SECONDS, CLIENTS, SPELLS = 200, 5, 8, 8
NAMES = ("quarters", "departments")
TOUCH = "update hired_employees.departments set department = department where id = 1"


def metrics(at: Place, rows: int) -> list[Ratio]:
    """Compare with five times as many hires."""
    at.fill(5 * rows)
    token = key(at, "read")
    with serving() as address:
        found = [uncached(at, address, token, name, 5 * rows) for name in NAMES]
        return found + [cached(address, token, name) for name in NAMES]


def uncached(at: Place, address: str, token: str, name: str, rows: int) -> Ratio:
    """Compare a metric over HTTP, all included, with its SQL over one connection."""
    with (
        closing(connections.connect(at.server.uri("rowboat_api"))) as bare,
        closing(HTTPConnection(urlsplit(address).netloc)) as http,
    ):

        def over_http() -> float:
            at.run(TOUCH)
            return ask(http, f"/api/2021/{name}", token)

        [found] = compare(
            f"metric {name} at {rows:,} hires, uncached",
            {OURS: over_http, "its bare SQL": lambda: in_sql(bare, name)},
            {"its bare SQL": Target(1.2, 0.1)},
            rounds=ROUNDS,
        )
    return found


def cached(address: str, token: str, name: str) -> Ratio:
    """Compare the 99th percentile of a cached metric, from when it was due, with /health."""
    paths = f"/api/2021/{name}", "/health"
    spell(address, token, paths[0])  # every process of the API has the answer after it
    pairs = [tuple(spell(address, token, path) for path in paths) for _ in range(SPELLS)]
    work = f"metric {name}, cached, {RATE} requests per second: p99"
    found = Ratio(work, "`/health`", tuple((ours, other) for ours, other in pairs), unit="ms")
    print(found, flush=True)
    return found


def spell(address: str, token: str, path: str) -> float:
    """Send requests for a while; return the 99th percentile in milliseconds."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.perf_counter() + 0.2
        clients = [
            pool.submit(client, address, token, path, begin + at / RATE) for at in range(CLIENTS)
        ]
        times = sorted(each for client_ in clients for each in client_.result())
    return times[int(len(times) * 0.99)] * 1000


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
        cursor.execute(find_metric(name).statement, {"year": 2021})
        assert cursor.fetchall()
    return time.perf_counter() - begun
