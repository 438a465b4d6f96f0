"""A client of Airflow's REST API (version 2), as far as Rowboat needs it."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from rowboat.database import embedded
from rowboat.database.credentials import read_credential
from rowboat.errors import AirflowRefused, AirflowUnreachable, UnknownRun
from rowboat.settings import settings

DRY_RUN = "dry_run"  # XCom key of the reports that the task `detect` makes in a dry run
MOST_TASKS = 100  # task instances of a run in one answer: Airflow's own maximum
_RUN = re.compile(r"[\w.~:+-]{3,250}", re.ASCII)
_REFUSALS = (400, 409, 422)


class Airflow:
    """One user's session with Airflow; an expired token is renewed."""

    def __init__(self, address: str, user: str, password: str, timeout: float = 30) -> None:
        self.address, self._user = address, user
        self._login = {"username": user, "password": password}
        self._http = httpx.Client(base_url=address, timeout=timeout, trust_env=False)

    def __enter__(self) -> "Airflow":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def healthy(self, timeout: float = 5) -> bool:
        """Return whether the web server, scheduler, triggerer and DAG processor all work."""
        return self.ailing(timeout) == []

    def ailing(self, timeout: float = 5) -> list[str] | None:
        """Return the names of the unhealthy parts, or None if Airflow does not answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=timeout).json()
            return [
                part.replace("_", " ")
                for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
                if (answer.get(part) or {}).get("status") != "healthy"
            ]
        except (httpx.HTTPError, ValueError, AttributeError):
            return None

    def knows(self, dag: str) -> bool:
        """Return whether Airflow has parsed a DAG."""
        return self._call("GET", f"/api/v2/dags/{dag}", allowed=(200, 404)).status_code == 200

    def trigger(self, dag: str, note: str | None = None, **conf: Any) -> str:
        """Start a run with a note for its page and `conf`, the form's values; return its ID."""
        body = {"logical_date": None, "conf": conf, "note": note}
        answer = self._call("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)
        run: str = self._document(answer)["dag_run_id"]
        return run

    def run(self, dag: str, run: str) -> dict[str, Any]:
        """Return a run as Airflow's API does: `state`, `conf`, times; raises UnknownRun."""
        return self._document(self._call("GET", _path(dag, run)))

    def state(self, dag: str, run: str) -> str:
        """Return a run's state."""
        found: str = self.run(dag, run)["state"]
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
        """Return the first hundred task instances of a run."""
        path = f"{_path(dag, run)}/taskInstances"
        answer = self._call("GET", path, params={"limit": MOST_TASKS})
        found: list[dict[str, Any]] = self._document(answer)["task_instances"]
        return found

    def result(self, dag: str, run: str, task: str, key: str = "return_value") -> Any:
        """Return the XCom value of a task, by default the one that it returned."""
        path = f"{_path(dag, run)}/taskInstances/{task}/xcomEntries/{key}"
        return self._document(self._call("GET", path))["value"]

    def log(self, dag: str, run: str, task: str, map_index: int = -1, attempt: int = 1) -> str:
        """Return a task's log."""
        path = f"{_path(dag, run)}/taskInstances/{task}/logs/{attempt}"
        found = self._call("GET", path, params={"map_index": map_index, "full_content": True})
        return found.text

    def question(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Return the question that a task asks a person: subject, body, options."""
        return self._document(self._call("GET", self._details(dag, run, task)))

    def answer(self, dag: str, run: str, task: str, option: str) -> None:
        """Answer the question of a task; raises AirflowRefused if it is answered already."""
        body = {"chosen_options": [option], "params_input": {}}
        self._call("PATCH", self._details(dag, run, task), json=body)

    def _details(self, dag: str, run: str, task: str) -> str:
        return f"{_path(dag, run)}/taskInstances/{task}/-1/hitlDetails"

    def runs(self, dag: str, **options: Any) -> list[dict[str, Any]]:
        """Return a DAG's runs; `options` are query parameters such as limit and order_by."""
        answer = self._call("GET", f"/api/v2/dags/{dag}/dagRuns", params=options)
        found: list[dict[str, Any]] = self._document(answer)["dag_runs"]
        return found

    def counts(self, dags: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return DAG → state → number of runs; a DAG that never ran is left out."""
        answer = self._call("GET", "/api/v2/dagStats", params={"dag_ids": dags})
        return {
            dag["dag_id"]: {each["state"]: each["count"] for each in dag["stats"]}
            for dag in self._document(answer)["dags"]
        }

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
            raise self._refusal(answer, f"{method} {path}")
        return answer

    def _refusal(self, answer: httpx.Response, asked: str) -> AirflowUnreachable:
        status, said = answer.status_code, f"Airflow at {self.address} answered"
        if status == httpx.codes.NOT_FOUND and "/dagRuns/" in asked:
            return UnknownRun()
        if status in _REFUSALS:
            return AirflowRefused(f"{said} {status} to {asked}: {_detail(answer)}")
        return AirflowUnreachable(f"{said} {status} to {asked}")

    def _document(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise AirflowUnreachable(f"{self.address} is not Airflow: it sent no JSON") from error
        return found

    def _sign_in(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        if answer.is_client_error:
            raise AirflowUnreachable(
                f"Airflow at {self.address} refuses the user {self._user}",
                "set ROWBOAT_AIRFLOW_USER and ROWBOAT_AIRFLOW_PASSWORD",
            )
        token = self._document(answer).get("access_token")
        self._http.headers["Authorization"] = f"Bearer {token}"


def connect_to_airflow(timeout: float = 30) -> Airflow:
    """Return a session with the Airflow of the settings; by default this machine's."""
    now = settings()
    own = now.airflow_password
    password = own.get_secret_value() if own else read_credential(now.home, "airflow_admin")
    return Airflow(airflow_address(), now.airflow_user, password, timeout)


def airflow_address() -> str:
    """Return the URL at which this process reaches Airflow."""
    return settings().airflow_url or f"http://{embedded.HOST}:{settings().airflow_port}"


def airflow_pages() -> str:
    """Return the URL at which browsers reach Airflow's pages."""
    return (settings().airflow_pages or airflow_address()).rstrip("/")


def _path(dag: str, run: str) -> str:
    """Return the path of a run; raises UnknownRun if the text cannot be the ID of one."""
    # A name of dots alone would be normalised away and address another resource.
    if not _RUN.fullmatch(run) or not run.strip("."):
        raise UnknownRun
    return f"/api/v2/dags/{dag}/dagRuns/{run}"


def _detail(answer: httpx.Response) -> str:
    """Return the message in Airflow's answer."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
