"""The work of clients who post batches of new rows."""

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import httpx

from rowboat.database import embedded
from tests.chaos.workloads import EMPLOYEES, Work


class Posts(Work):
    """Batches of new rows over HTTP, each sent again under its key until it is answered."""

    span, clients, batches = 3.0, 3, 25

    @property
    def about(self) -> str:
        return f"{self.clients * self.batches} posts"

    def prepare(self) -> None:
        name = f"chaos {self.seed}"
        done = self.system.rowboat(
            *("keys", "create", name, "--scope", "write", "--per-minute", "1000000", "--json")
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self._key = json.loads(done.stdout)["token"]
        self._stamp = time.time_ns()  # another try of the same seed is another client

    def begin(self) -> None:
        self._pool = ThreadPoolExecutor(self.clients)
        seeds = [self.rng.random() for _ in range(self.clients)]
        self._sent: list[Future[tuple[list[str], int]]] = [
            self._pool.submit(self._send, client, Random(seed)) for client, seed in enumerate(seeds)
        ]
        self._pool.shutdown(wait=False)

    def done(self) -> bool:
        return all(each.done() for each in self._sent)

    def check(self) -> None:
        good = [name for each in self._sent for name in each.result()[0]]
        bad = sum(each.result()[1] for each in self._sent)
        there = self.system.query(
            f"select employee_name from {EMPLOYEES} where employee_name like %s",
            [f"chaos {self._stamp} %"],
        )
        assert sorted(name for (name,) in there) == sorted(good), "rows differ from those answered"
        [(refused,)] = self.system.query(
            "select count(*) from ingest_status.rejected_rows"
            " where source = 'api' and convert_from(raw, 'UTF8') like %s",
            [f"%chaos {self._stamp} %"],
        )
        assert refused == bad, "refused rows are not quarantined once"

    def _send(self, client: int, rng: Random) -> tuple[list[str], int]:
        """Post all batches of a client; return the good names and how many rows were bad."""
        good: list[str] = []
        bad = 0
        address = f"http://{embedded.HOST}:{self.system.environment['ROWBOAT_API_PORT']}"
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False) as http:
            for batch in range(self.batches):
                rows = []
                for number in range(rng.randrange(1, 200)):
                    name = f"chaos {self._stamp} {client} {batch} {number}"
                    flawed = rng.random() < 0.05
                    rows.append(
                        {
                            "employee_name": name, "hired_date": "2021-02-03T04:05:06Z",
                            "department_id": 99_999 if flawed else rng.randrange(1, 13),
                            "job_id": rng.randrange(1, 181),
                        }
                    )  # fmt: skip
                    if flawed:
                        bad += 1
                    else:
                        good.append(name)
                self._post(http, rows, f"{self._stamp}-{client}-{batch}")
        return good, bad

    def _post(self, http: httpx.Client, rows: list[dict[str, Any]], key: str) -> None:
        """Send a batch until it is answered for good."""
        end = time.monotonic() + 180
        while True:
            with suppress(httpx.TransportError):
                answer = http.post(
                    "/api/hired_employees", json=rows, headers={"Idempotency-Key": key}, timeout=30
                )
                if answer.status_code in (201, 207, 422):
                    found = answer.json()
                    assert answer.status_code != 422 or "none was kept" in found["detail"], found
                    return
                assert answer.status_code in (409, 503), answer.text
            assert time.monotonic() < end, "a batch is never answered"
            time.sleep(0.1)
