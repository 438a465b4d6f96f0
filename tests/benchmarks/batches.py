"""Batches over HTTP against the bare INSERT of the same rows, and eight clients against one.

    .venv/bin/python -m tests.benchmarks.batches [PAIRS]

Starts its own embedded server and the API as `rowboat serve` does, sends batches of 1,000 valid
hires (A B A B …), and prints medians of ratios with their least and greatest.
"""

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import psycopg2

from rowboat import server
from tests.benchmarks.backups import run
from tests.benchmarks.serving import migrated, serving

ROWS = 1000
TABLE = "hired_employees.hired_employees"
PARENTS = """
insert into hired_employees.departments (id, department)
select n, 'Department ' || n from generate_series(1, 12) as n;
insert into hired_employees.jobs (id, job)
select n, 'Job ' || n from generate_series(1, 180) as n;
"""
BARE = f"""
insert into {TABLE} (id, employee_name, hired_date, department_id, job_id)
select id, employee_name, hired_date, department_id, job_id
from jsonb_to_recordset(%s::jsonb) as r (
    id integer, employee_name text, hired_date timestamptz, department_id integer, job_id integer
)
"""
CLIENTS, EACH = 8, 12
_first = count(1, ROWS)


def main() -> None:
    """Compare in turn."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with migrated("write") as (embedded, token):
        run(embedded, PARENTS)
        with serving() as address:
            compare(embedded, address, token, pairs)
            crowd(address, token)


def compare(embedded: server.EmbeddedServer, address: str, token: str, pairs: int) -> None:
    """Print the ratio of a batch over HTTP to the bare INSERT of one over one connection."""
    bare = psycopg2.connect(embedded.uri("rowboat_api"))
    found = []
    with closing(bare), caller(address, token) as http:
        for _ in range(3):
            post(http, batch())
        for _ in range(pairs):
            body = batch()
            begun = time.perf_counter()
            post(http, body)
            ours = time.perf_counter() - begun
            body = batch()
            begun = time.perf_counter()
            with bare, bare.cursor() as cursor:
                cursor.execute(BARE, [body])
            found.append((ours, time.perf_counter() - begun))
    ratios = sorted(mine / other for mine, other in found)
    ours, other = (statistics.median(each) * 1000 for each in zip(*found, strict=True))
    print(f"a batch {ours:.1f} ms, the bare insert {other:.1f} ms")
    print(
        f"batch / insert from jsonb_to_recordset  {statistics.median(ratios):.2f}"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def crowd(address: str, token: str) -> None:
    """Print the rows per second of eight clients over those of one."""
    ratios = []
    for _ in range(3):
        one = rate(address, token, 1)
        ratios.append(rate(address, token, CLIENTS) / one)
    ratios.sort()
    print(f"{CLIENTS} clients / 1 client  {ratios[1]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def rate(address: str, token: str, clients: int) -> float:
    """Return the rows per second of some clients that send batches side by side."""
    bodies = [[batch() for _ in range(EACH)] for _ in range(clients)]

    def send(mine: list[str]) -> None:
        with caller(address, token) as http:
            for body in mine:
                post(http, body)

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(send, bodies))
    return clients * EACH * ROWS / (time.perf_counter() - begun)


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
        "department_id": 1 + n * 31 % 12,
        "job_id": 1 + n * 17 % 180,
    }


if __name__ == "__main__":
    main()
