"""Talks to a running Airflow over its REST API (apache-airflow-client's paths, v2)."""

import time
from collections.abc import Iterator
from typing import Any

import httpx

from rowboat.errors import RowboatError


class AirflowUnreachable(RowboatError):
    """Airflow does not answer"""

    hint = "look into ROWBOAT_HOME/logs, or start it with `rowboat up`"


class Airflow:
    """One user's session with Airflow; the token is taken again when it has run out."""

    def __init__(self, address: str, user: str, password: str) -> None:
        self.address = address
        self._login = {"username": user, "password": password}
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)

    def __enter__(self) -> "Airflow":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Tell whether the web server, scheduler, triggerer and DAG processor all work."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((answer.get(part) or {}).get("status") == "healthy" for part in parts)

    def knows(self, dag: str) -> bool:
        """Tell whether a DAG has been read."""
        return self._call("GET", f"/api/v2/dags/{dag}", allowed=(200, 404)).status_code == 200

    def trigger(self, dag: str, **conf: Any) -> str:
        """Start a run with the given form values; return its id."""
        body = {"logical_date": None, "conf": conf}
        run: str = self._call("POST", f"/api/v2/dags/{dag}/dagRuns", json=body).json()["dag_run_id"]
        return run

    def state(self, dag: str, run: str) -> str:
        """Return a run's state."""
        found: str = self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"]
        return found

    def states(self, dag: str, run: str, every: float = 0.25) -> Iterator[str]:
        """Yield a run's state until it has ended."""
        while True:
            state = self.state(dag, run)
            yield state
            if state in ("success", "failed"):
                return
            time.sleep(every)

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return a run's task instances."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances"
        found: list[dict[str, Any]] = self._call("GET", path).json()["task_instances"]
        return found

    def log(self, dag: str, run: str, task: str, map_index: int = -1, attempt: int = 1) -> str:
        """Return a task's log."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"
        found = self._call("GET", path, params={"map_index": map_index, "full_content": True})
        return found.text

    def question(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Return what a task asks of a person: subject, body, options."""
        found: dict[str, Any] = self._call("GET", self._details(dag, run, task)).json()
        return found

    def answer(self, dag: str, run: str, task: str, option: str) -> None:
        """Answer what a task asks."""
        body = {"chosen_options": [option], "params_input": {}}
        self._call("PATCH", self._details(dag, run, task), json=body)

    def _details(self, dag: str, run: str, task: str) -> str:
        return f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails"

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return a DAG's runs."""
        path = f"/api/v2/dags/{dag}/dagRuns"
        found: list[dict[str, Any]] = self._call("GET", path).json()["dag_runs"]
        return found

    def _call(
        self, method: str, path: str, allowed: tuple[int, ...] = (200, 201), **more: Any
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._sign_in()
                answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise AirflowUnreachable(f"Airflow at {self.address} does not answer") from error
        if answer.status_code not in allowed:
            raise AirflowUnreachable(
                f"Airflow at {self.address} answered {answer.status_code} to {method} {path}"
            )
        return answer

    def _sign_in(self) -> None:
        token = self._http.post("/auth/token", json=self._login).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
