"""Mixed traffic on loopback for a while: posts, reads, metrics, uploads, a backup, a restore, undo.

Every client has a key of its own and waits for each answer, so the load is what the machine holds.
No answer may be a server's fault but 503 with Retry-After, which clients obey.
"""

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import httpx
import psutil

from rowboat.database import embedded
from tests.acceptance.conftest import System, running
from tests.acceptance.test_api import new_key
from tests.chaos.system import PARTS, check_rest, part, until
from tests.conftest import ROOT

EMPLOYEES, JOBS = "hired_employees.hired_employees", "hired_employees.jobs"
PATIENCE = 60.0  # seconds for one answer
JOB = 900_000
FILE = 500  # lines of an upload
PAUSE = {"post": 0.1, "read": 0.05, "metric": 0.2, "upload": 15.0}  # seconds between two requests
CLIENTS = {"post": 3, "read": 2, "metric": 1, "upload": 1}
EVERY = 5.0  # seconds between two looks at memory
WARM = 16  # clients at once: more than the API has threads
GROWTH = 1.2  # of memory, from the second quarter to the last
SLACK = 20  # two sessions of each of its eight threads, and what Airflow opens now and then
SESSIONS = """
select count(*) from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and datname = current_database()
"""


@dataclass
class Report:
    """What was sent and answered; times in seconds, memory in MiB by part and look."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    handles: tuple[int, int] = (0, 0)
    sessions: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        lines = []
        for kind, times in sorted(self.took.items()):
            codes = ", ".join(
                f"{n:,} of {code}" for (of, code), n in sorted(self.answers.items()) if of == kind
            )
            times.sort()
            middle, late = median(times) * 1000, times[int(len(times) * 0.99)] * 1000
            lines.append(f"{kind}: {codes}; median {middle:.0f} ms, p99 {late:.0f} ms")
        for name, (early, late) in self.grown().items():
            lines.append(f"{name}: {early:.0f} MiB in the second quarter, {late:.0f} in the last")
        lines.append(f"handles of the API {self.handles}, sessions of the database {self.sessions}")
        lines.append(f"{len(self.acknowledged):,} rows acknowledged, each is there once")
        return "\n".join(lines)

    def grown(self) -> dict[str, tuple[float, float]]:
        """Return for each part its memory in the second and in the last quarter."""
        found = {}
        for name, looks in self.memory.items():
            quarter = max(1, len(looks) // 4)
            found[name] = median(looks[quarter : 2 * quarter] or looks), median(looks[-quarter:])
        return found


class Traffic:
    """Clients of a running system, all of whose work is drawn from one seed."""

    def __init__(self, system: System, seed: int, minutes: float) -> None:
        self.system, self.seed = system, seed
        self.address = f"http://{embedded.HOST}:{system.environment['ROWBOAT_API_PORT']}"
        self.seconds = 60 * minutes
        self.report = Report()
        [(last,)] = system.query(f"select coalesce(max(id), 0) from {EMPLOYEES}")
        self.ids = count(last + 1)

    def run(self) -> Report:
        """Send all of it, wait until it is worked off, check what it left."""
        self._warm_up()
        before = self._held()
        self.begun = time.monotonic()  # how long the warm-up takes depends on the machine
        self.end = self.begun + self.seconds
        with ThreadPoolExecutor(sum(CLIENTS.values()) + 2) as pool:
            works: list[Callable[[httpx.Client, Random], None]] = [
                *[self._post] * CLIENTS["post"],
                *[self._read] * CLIENTS["read"],
                *[self._metric] * CLIENTS["metric"],
                *[self._upload] * CLIENTS["upload"],
            ]
            clients = [pool.submit(self._client, n, work) for n, work in enumerate(works)]
            clients += [pool.submit(self._operate), pool.submit(self._watch)]
            for each in clients:
                each.result()
        check_rest(self.system)
        self._check_rows()
        until("all that was opened is closed", lambda: self._is_back(before))
        return self.report

    def _warm_up(self) -> None:
        """Let every thread of the API have what it keeps."""
        with ThreadPoolExecutor(WARM) as pool, self._signed_in() as client:
            asked = [pool.submit(client.get, "/api/jobs") for _ in range(4 * WARM)]
            assert all(each.result().status_code < 500 for each in asked)

    def _client(self, n: int, work: Callable[[httpx.Client, Random], None]) -> None:
        rng = Random(f"{self.seed} {n}")
        with self._signed_in() as client:
            while time.monotonic() < self.end:
                work(client, rng)

    @contextmanager
    def _signed_in(self) -> Iterator[httpx.Client]:
        headers = {"Authorization": f"Bearer {new_key(self.system)}"}
        with httpx.Client(
            base_url=self.address, headers=headers, timeout=PATIENCE, trust_env=False
        ) as client:
            yield client

    def _send(self, client: httpx.Client, kind: str, method: str, path: str, **more: Any) -> Any:
        """Send a request until it is answered by other than "later"; return the answer."""
        while True:
            begun = time.monotonic()
            answer = client.request(method, path, **more)
            self.report.took[kind].append(time.monotonic() - begun)
            self.report.answers[kind, answer.status_code] += 1
            later = answer.headers.get("Retry-After")
            if answer.status_code in (429, 503) and later:
                time.sleep(int(later))
                continue
            if answer.status_code >= 500:
                self.report.wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer

    def _rest(self, kind: str) -> None:
        time.sleep(max(0, min(PAUSE[kind], self.end - time.monotonic())))

    def _post(self, client: httpx.Client, rng: Random) -> None:
        rows = [self._hire(rng) for _ in range(rng.choice([1, 10, 100, 1000]))]
        wrong = [n for n in range(len(rows)) if rng.random() < 0.02]
        for n in wrong:
            rows[n] |= rng.choice([{"department_id": 99_999}, {"hired_date": "soon"}])
        key = {"Idempotency-Key": f"traffic-{self.seed}-{rows[0]['id']}"}
        answer = self._send(client, "post", "POST", "/api/hired_employees", json=rows, headers=key)
        good = {row["id"] for n, row in enumerate(rows) if n not in wrong}
        found = answer.json()
        if (found.get("inserted"), found.get("rejected")) != (len(good), len(wrong)):
            self.report.wrong.append(f"of {len(rows)} rows {len(wrong)} are flawed: {answer.text}")
        self.report.acknowledged |= good
        self._rest("post")

    def _hire(self, rng: Random) -> dict[str, Any]:
        return {
            "id": next(self.ids),
            "employee_name": "Ann Oar",
            "hired_date": f"2021-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T08:00:00Z",
            "department_id": 1 + rng.randrange(3),
            "job_id": 1 + rng.randrange(3),
        }

    def _read(self, client: httpx.Client, rng: Random) -> None:
        path = rng.choice([
            "/api/hired_employees?limit=1000&order=-id", "/api/jobs", "/api/departments/1",
            "/api/rejects", "/api/backups", "/api/ingest", "/api/tables",
            f"/api/hired_employees?department_id=1&id.gte={rng.randrange(5000)}&limit=10",
        ])  # fmt: skip
        self._send(client, "read", "GET", path)
        self._rest("read")

    def _metric(self, client: httpx.Client, rng: Random) -> None:
        name, form = rng.choice(["quarters", "departments"]), rng.choice(["json", "csv", "xlsx"])
        self._send(client, "metric", "GET", f"/api/2021/{name}?format={form}")
        self._rest("metric")

    def _upload(self, client: httpx.Client, rng: Random) -> None:
        hires = [self._hire(rng) for _ in range(FILE)]
        text = "".join(",".join(map(str, hire.values())) + "\n" for hire in hires)
        name = f"hired_employees-{hires[0]['id']}.csv"
        path = f"/api/hired_employees/file?name={name}"
        kind = {"Content-Type": "text/csv"}
        answer = self._send(client, "upload", "POST", path, content=text, headers=kind)
        if answer.status_code == 202:
            self.report.acknowledged |= {hire["id"] for hire in hires}
        self._rest("upload")

    def _operate(self) -> None:
        """Take a backup, restore a table from it, undo that."""
        with self._signed_in() as client:
            taken = self._ended(client, self._begun(client, "/api/backups", {}))
            number = JOB + next(self.ids)  # no row in quarantine waits for it
            job = [{"id": number, "job": "Traffic"}]
            added = self._send(client, "operate", "POST", "/api/jobs", json=job)
            assert added.status_code == 201, added.text
            order = {"table": "jobs", "set": taken["set"]["set"]}
            restored = self._approved(client, self._begun(client, "/api/restores", order))
            if self._has_job(number):
                self.report.wrong.append("a restore left a row that its set does not have")
            self._approved(client, self._begun(client, restored["undo"], None))
            if not self._has_job(number):
                self.report.wrong.append("an undo did not bring a row back")

    def _begun(self, client: httpx.Client, path: str, order: dict[str, Any] | None) -> str:
        return str(self._send(client, "operate", "POST", path, json=order).json()["url"])

    def _ended(self, client: httpx.Client, url: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self._send(client, "operate", "GET", url).json()
            return found if found["state"] in ("success", "failed") else None

        found = until("the run ends", look, 300, every=0.5)
        assert found
        assert found["state"] == "success", found
        return found

    def _approved(self, client: httpx.Client, url: str) -> dict[str, Any]:
        def waits() -> bool:
            return bool(self._send(client, "operate", "GET", url).json()["waits"])

        until("the plan waits", waits, 300, every=0.5)
        self._send(client, "operate", "POST", f"{url}/approve")
        found: dict[str, Any] = self._ended(client, url)
        return found

    def _has_job(self, number: int) -> bool:
        return bool(self.system.query(f"select from {JOBS} where id = %s", [number]))

    def _watch(self) -> None:
        """Look at the memory of each part now and then."""
        due = self.begun
        while (due := due + EVERY) < self.end:
            while time.monotonic() < due:
                time.sleep(0.1)
            for name in PARTS:
                resident = sum(each.memory_info().rss for each in _alive(part(self.system, name)))
                self.report.memory[name].append(resident / 2**20)

    def _held(self) -> tuple[int, int]:
        """Return the handles of the API's processes, and the sessions of the database."""
        handles = sum(each.num_fds() for each in _alive(part(self.system, "api")))
        [(sessions,)] = self.system.query(SESSIONS, role=embedded.SUPERUSER)
        return handles, sessions

    def _is_back(self, before: tuple[int, int]) -> bool:
        """Tell whether no more is open than before, but for what Airflow opens now and then."""
        now = self._held()
        self.report.handles, self.report.sessions = zip(before, now, strict=True)
        return all(late <= early + SLACK for early, late in zip(before, now, strict=True))

    def _check_rows(self) -> None:
        wanted = sorted(self.report.acknowledged)
        [(there,)] = self.system.query(
            f"select count(*) from {EMPLOYEES} where id = any(%s)", [wanted]
        )
        assert there == len(wanted), f"{len(wanted)} rows were acknowledged, {there} are there"
        assert self.report.wrong == []


def half_an_hour(folder: Path, seed: int) -> str:
    """Let a system of its own serve for thirty minutes; memory may not grow after the warm-up."""
    (folder / "raw_data").mkdir()
    for path in (ROOT / "raw_data").glob("*.csv"):
        shutil.copy(path, folder / "raw_data")
    with running(folder) as system:
        report = Traffic(system, seed, 30).run()
    for name, (early, late) in report.grown().items():
        assert late < GROWTH * early, f"{name} grew: {report}"
    return str(report)


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running()]
