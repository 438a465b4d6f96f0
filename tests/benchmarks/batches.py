"""Batches over HTTP against the bare INSERT of the same rows, and against another service.

Batches have 1,000 valid hires; the services and the insert share the server and take turns.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import psycopg2

from rowboat.database import embedded
from tests.benchmarks import other_tools
from tests.benchmarks.compare import OURS, Ratio, Target, Work, compare, timed
from tests.benchmarks.places import DEPARTMENTS, JOBS, TABLE, Place
from tests.benchmarks.serving import key, serving

ROWS = 1000
BARE = f"""
insert into {TABLE} (id, employee_name, hired_date, department_id, job_id)
select id, employee_name, hired_date, department_id, job_id
from jsonb_to_recordset(%s::jsonb) as r (
    id integer, employee_name text, hired_date timestamptz, department_id integer, job_id integer
)
"""
ALONE, CLIENTS, EACH = 25, 8, 12
_first = count(1, ROWS)


def batches(at: Place, _: int) -> list[Ratio]:
    """Compare one client with the insert, then eight clients with those of the other service."""
    at.empty()
    address, token = at.server.uri(embedded.SUPERUSER), key(at, "write")
    with serving() as ours, other_tools.serving_sqlmodel(address) as other:
        return [*_alone(at, ours, token), *_crowd(ours, token, other)]


def _alone(at: Place, address: str, token: str) -> list[Ratio]:
    with (
        closing(psycopg2.connect(at.server.uri("rowboat_api"))) as bare,
        caller(address, token) as http,
    ):

        def insert() -> float:
            body, begun = batch(), time.perf_counter()
            with bare, bare.cursor() as cursor:
                cursor.execute(BARE, [body])
            return time.perf_counter() - begun

        def over_http() -> float:
            body, begun = batch(), time.perf_counter()
            post(http, body)
            return time.perf_counter() - begun

        for _ in range(3):
            over_http()
        against = "bare insert from jsonb"
        return compare(
            f"batch of {ROWS:,} over HTTP",
            {OURS: over_http, against: insert},
            {against: Target(2.5, 1.5)},
            {against: "types, NULLs, key, parents: the first flaw ends it"},
            rounds=ALONE,
        )


def _crowd(address: str, token: str, other: str) -> list[Ratio]:
    """Compare the seconds for as many batches, and tell them as rows per second."""
    works: dict[str, Work] = {
        OURS: lambda: seconds(address, token, CLIENTS),
        "FastAPI with SQLModel": lambda: seconds(other, other_tools.KEY, CLIENTS),
        "1 client": lambda: CLIENTS * seconds(address, token, 1),
    }
    for work in works.values():
        work()
    found = compare(f"{CLIENTS} clients, batches of {ROWS:,}", works, {})
    return [
        Ratio(
            f"rows per second, {each.work}",
            each.against,
            tuple((_rate(ours), _rate(theirs)) for ours, theirs in each.pairs),
            Target(4, 10, above=True) if each.against.startswith("FastAPI") else None,
            "types, NULLs, parents: the first flaw ends it" if "Fast" in each.against else "",
            unit="rows/s",
        )
        for each in found
    ]


def _rate(taken: float) -> float:
    return CLIENTS * EACH * ROWS / taken


def seconds(address: str, token: str, clients: int) -> float:
    """Return the seconds of some clients that send batches side by side."""
    bodies = [[batch() for _ in range(EACH)] for _ in range(clients)]

    def send(mine: list[str]) -> None:
        with caller(address, token) as http:
            for body in mine:
                post(http, body)

    def all_of_them() -> None:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(send, bodies))

    taken = timed(all_of_them)()
    assert taken
    return taken


def caller(address: str, token: str) -> httpx.Client:
    """Return a client that bears the key."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False)


def post(http: httpx.Client, body: str) -> None:
    """Send a batch; every row must go in."""
    answer = http.post("/api/hired_employees", content=body)
    assert (answer.status_code, answer.json()["inserted"]) == (201, ROWS), answer.text[:500]


def batch() -> str:
    """Return 1,000 new hires as JSON."""
    first = next(_first)
    return json.dumps([hire(n) for n in range(first, first + ROWS)])


def hire(n: int) -> dict[str, Any]:
    """Return a hire."""
    return {
        "id": n,
        "employee_name": f"Name{n % 5000} Sur{n % 7777}",
        "hired_date": f"2021-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00Z",
        "department_id": 1 + n * 31 % DEPARTMENTS,
        "job_id": 1 + n * 17 % JOBS,
    }
