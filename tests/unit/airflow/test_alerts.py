"""What a webhook is told, and that nothing about it ever stands in a run's way."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rowboat.database import embedded
from rowboat.errors import SettingError
from rowboat.settings import settings
from rowboat_airflow import alerts
from tests.conftest import ROOT
from tests.support.posts import Posts, posts

RUN = "manual__2026-11-21T10:00:00+00:00"
PAGE = "manual__2026-11-21T10%3A00%3A00%2B00%3A00"
CONTEXT = {
    "ti": SimpleNamespace(dag_id="backup", run_id=RUN, task_id="take"),
    "exception": ValueError("the disk is full\nHINT: make room"),
}
SECRET = "/hook/s3cret"


@pytest.fixture
def hook(setting: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Posts]:
    """A webhook that the settings name."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.test/")
    with posts() as found:
        setting("alert_url", found.address + SECRET)
        setting("console_url", "http://console.test")
        yield found
    settings.cache_clear()


def test_failed_task(hook: Posts, caplog: pytest.LogCaptureFixture) -> None:
    """The same document in the log and at the webhook; the address stands nowhere."""
    with caplog.at_level(logging.DEBUG):
        alerts.failed(CONTEXT)
    [alert] = hook.at(SECRET)
    assert alert == {
        "text": "backup: take failed: the disk is full",
        "dag": "backup",
        "run": RUN,
        "task": "take",
        "error": "the disk is full",
        "airflow": f"http://airflow.test/dags/backup/runs/{PAGE}",
        "console": f"http://console.test/runs/backup/{PAGE}",
    }
    [line] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert json.loads(line.removeprefix("alert ")) == alert
    assert SECRET not in caplog.text


def test_killed_task(hook: Posts) -> None:
    alerts.failed({"ti": CONTEXT["ti"]})
    [alert] = hook.at(SECRET)
    assert alert["text"] == "backup: take failed: the task ended without a message"


def test_late_run(hook: Posts) -> None:
    """By what the deadline carries: a path and values that Airflow can keep."""
    found = alerts.deadline(hours=1.5).callback
    assert (found.path, found.kwargs) == ("rowboat_airflow.alerts.late", {"hours": 1.5})
    context = {"dag_run": {"dag_id": "backup", "dag_run_id": RUN}}
    asyncio.run(alerts.late(context, **found.kwargs))
    [alert] = hook.at(SECRET)
    assert alert["text"] == "backup is late: the run has not ended 1.5 hours after it was queued"
    assert (alert["run"], alert["task"]) == (RUN, None)


@pytest.mark.parametrize("fault", ["refuses", "hangs", "is gone", "is none"])
def test_webhook_that_does_not_take_it(
    fault: str,
    hook: Posts,
    setting: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = "the alert could not be posted: "
    if fault == "refuses":
        hook.status, said = 500, "the webhook answered 500 to the alert"
    elif fault == "hangs":
        hook.go_on.clear()
        monkeypatch.setattr(alerts, "PATIENCE", 0.2)
        said += "TimeoutError"
    elif fault == "is gone":
        setting("alert_url", f"http://127.0.0.1:{embedded.free_port()}{SECRET}")
        said += "ConnectError"
    else:
        setting("alert_url", f"http://hook.test:port{SECRET}")
        said += "InvalidURL"
    alerts.failed(CONTEXT)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [said]
    assert SECRET not in caplog.text


def test_without_a_webhook_the_log_tells(
    hook: Posts, setting: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    setting("alert_url", "")
    alerts.failed(CONTEXT)
    assert hook.kept == []
    assert "alert {" in caplog.text


def test_address_that_is_none(setting: Callable[[str, str], None]) -> None:
    setting("alert_url", "hooks.example.org/s3cret")
    with pytest.raises(SettingError) as raised:
        settings()
    settings.cache_clear()
    assert raised.value.fact == (
        "ROWBOAT_ALERT_URL cannot be used: value error, must begin with https:// or http://"
    )


def test_every_task_tells(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the nightly backup has a deadline."""
    monkeypatch.setenv("ROWBOAT_HOME", str(tmp_path))
    settings.cache_clear()
    outline = [{"table": "trade.suppliers", "parents": []}]
    (tmp_path / "catalog.json").write_text(json.dumps(outline))
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(ROOT / "dags").dags
    settings.cache_clear()
    for dag in dags.values():
        for task in dag.tasks:
            assert task.on_failure_callback in (alerts.failed, [alerts.failed]), task.task_id
    [deadline] = dags["backup"].deadline
    assert deadline.interval.total_seconds() == 2 * 3600
