"""When a task is tried again: a lost connection, yes; bad input, never."""

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

RETRIES = 5
POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["rowboat.errors.ConnectionLost", "rowboat.errors.Contended"],
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=5),
            reason="the database could not be reached or others held the rows",
        ),
        RetryRule(
            exception="rowboat.errors.RowboatError",
            action=RetryAction.FAIL,
            reason="trying again cannot help",
        ),
    ]
)
