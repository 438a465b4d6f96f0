"""Which failed tasks are tried again: those that lost a connection, not those with bad input."""

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

RETRIES = 5
POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["rowboat.errors.ConnectionLost", "rowboat.errors.Contended"],
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=5),
            reason="the database could not be reached, or other writers held the rows",
        ),
        RetryRule(
            exception="rowboat.errors.RowboatError",
            action=RetryAction.FAIL,
            reason="a retry would fail in the same way",
        ),
    ]
)
