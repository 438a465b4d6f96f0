"""Speaks the few addresses of Airflow that operations use: for what a real one does not do when
asked, such as to hang, to forget a token, or to show every state of a run. `rowboat up` in
tests/acceptance has the real one.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

NOW = "2026-11-21T10:00:00Z"
HEALTHY = {
    name: {"status": "healthy"}
    for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
}


@dataclass
class FakeAirflow:
    """What it would say: `runs` by (DAG, run), their tasks, results, questions."""

    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    results: dict[tuple[str, str], Any] = field(default_factory=dict)
    questions: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)
    triggered: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    password: str = "right"
    token: str = "first"
    signed_in: int = 0
    refusal: tuple[int, Any] | None = None
    go_on: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.go_on.set()
        fake = self

        class Handler(_Handler):
            airflow = fake

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Go down: connections are refused from now on."""
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

    def add_run(self, dag: str, run: str, state: str, **conf: Any) -> None:
        """Know a run."""
        self.runs[dag, run] = {"dag_run_id": run, "state": state, "conf": conf,
                               "start_date": NOW, "end_date": None}  # fmt: skip

    def add_task(self, run: str, task: str, state: str) -> None:
        """Know a task of a run."""
        found = {"task_id": task, "rendered_map_index": None, "state": state, "try_number": 1,
                 "start_date": NOW, "end_date": None}  # fmt: skip
        self.tasks.setdefault(run, []).append(found)

    def answer(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        """Return status and document."""
        match method, path:
            case "GET", ["monitor", "health"]:
                return 200, HEALTHY
            case "GET", ["dagStats"]:
                states = {dag: Counter(r["state"] for (d, _), r in self.runs.items() if d == dag)
                          for dag, _ in self.runs}  # fmt: skip
                return 200, {"dags": [
                    {"dag_id": dag, "stats": [{"state": s, "count": n} for s, n in found.items()]}
                    for dag, found in states.items()
                ]}  # fmt: skip
            case "GET", ["dags", dag, "dagRuns"]:
                return 200, {"dag_runs": [r for (d, _), r in self.runs.items() if d == dag]}
            case "POST", ["dags", dag, "dagRuns"]:
                self.triggered.append((dag, body["conf"], body["note"]))
                run = f"manual__{len(self.triggered)}"
                self.add_run(dag, run, "queued", **body["conf"])
                return 200, self.runs[dag, run]
            case "GET", ["dags", dag, "dagRuns", run] if (dag, run) in self.runs:
                return 200, self.runs[dag, run]
            case "GET", ["dags", dag, "dagRuns", run, "taskInstances"] if (dag, run) in self.runs:
                return 200, {"task_instances": self.tasks.get(run, [])}
            case "GET", ["dags", _, "dagRuns", run, "taskInstances", task, "xcomEntries", _]:
                return 200, {"value": self.results[run, task]}
            case "GET", ["dags", _, "dagRuns", run, "taskInstances", _, _, "hitlDetails"]:
                return 200, self.questions[run]
            case "PATCH", ["dags", _, "dagRuns", run, "taskInstances", _, _, "hitlDetails"]:
                self.answers.append((run, body["chosen_options"][0]))
                return 200, {}
        return 404, {"detail": "not found"}


class _Handler(BaseHTTPRequestHandler):
    airflow: FakeAirflow

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def _answer(self, method: str) -> None:
        fake = self.airflow
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        fake.go_on.wait(30)
        path = self.path.partition("?")[0]
        if path == "/auth/token":
            right = body["password"] == fake.password
            fake.signed_in += right
            self._send(*((201, {"access_token": fake.token}) if right else (401, {})))
        elif path != "/api/v2/monitor/health" and (
            self.headers.get("Authorization") != f"Bearer {fake.token}"
        ):
            self._send(401, {"detail": "not authenticated"})
        elif fake.refusal:
            self._send(*fake.refusal)
        else:
            self._send(*fake.answer(method, path.removeprefix("/api/v2/").split("/"), body))

    def _send(self, status: int, document: Any) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""
