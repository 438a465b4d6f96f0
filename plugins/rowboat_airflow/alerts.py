"""Alerts for failed tasks and late runs: a line in the log, and a POST to a webhook.

The webhook is ROWBOAT_ALERT_URL. The address is a secret, as it is all that one needs to post
there, so it is never logged.
"""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
from airflow.sdk import (  # type: ignore[attr-defined]  # its stub lacks them
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)
from airflow.sdk.configuration import conf

from rowboat.settings import settings
from rowboat_airflow.console import console_address

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it would log the webhook's address

PATIENCE = 10  # seconds that the webhook has to answer


def failed(context: Any) -> None:
    """Send the alert for a task that failed its last try (Airflow's `on_failure_callback`)."""
    ti = context["ti"]
    first = str(context.get("exception") or "").strip().partition("\n")[0]
    error = first or "the task ended without a message"
    text = f"{ti.dag_id}: {ti.task_id} failed: {error}"
    # A callback of a task is synchronous; that of a deadline is not.
    asyncio.run(_tell(text, ti.dag_id, ti.run_id, ti.task_id, error))


async def late(context: Any, hours: float) -> None:
    """Send the alert for a run that has not ended in time; called by Airflow's triggerer."""
    run = context["dag_run"]
    dag, error = run["dag_id"], f"has not ended {hours:g} hours after it was queued"
    await _tell(f"{dag} is late: the run {error}", dag, run["dag_run_id"], None, error)


def deadline(hours: float) -> DeadlineAlert:
    """Return the alert for runs that have not succeeded some hours after they were queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,  # a manual run has no logical date
        interval=timedelta(hours=hours),
        callback=AsyncCallback(late, kwargs={"hours": hours}),
    )


async def _tell(text: str, dag: str, run: str, task: str | None, error: str) -> None:
    """Log an alert and post it; if it cannot be posted, log that and raise nothing."""
    of_dag, of_run = quote(dag, safe=""), quote(run, safe="")
    airflow = conf.get("api", "base_url", fallback="").rstrip("/")
    alert = {
        "text": text,
        "dag": dag,
        "run": run,
        "task": task,
        "error": error,
        "airflow": f"{airflow}/dags/{of_dag}/runs/{of_run}",
        "console": console_address(f"/runs/{of_dag}/{of_run}"),
    }
    log.error("alert %s", json.dumps(alert, ensure_ascii=False))
    address = settings().alert_url
    if address is None:
        return
    try:
        async with httpx.AsyncClient() as http:
            posting = http.post(address.get_secret_value(), json=alert)
            answer = await asyncio.wait_for(posting, PATIENCE)
        if not answer.is_success:
            log.warning("the webhook answered %s to the alert", answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as problem:
        log.warning("the alert could not be posted: %s", type(problem).__name__)
