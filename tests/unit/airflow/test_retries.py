"""A lost connection is tried again, bad input never."""

import pytest

from rowboat import errors


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.ConnectionLost(), "retry"),
        (errors.Contended(), "retry"),
        (errors.FileRefused(), "fail"),
        (errors.Unmatched(), "fail"),
        (errors.DatabaseRefused(), "fail"),
        (errors.BrokenPromise(), "fail"),
        (OSError("a machine's own trouble"), "default"),
    ],
)
def test_decision(error: Exception, action: str) -> None:
    from rowboat_airflow.retries import POLICY

    assert POLICY.evaluate(error, try_number=1, max_tries=5).action.value == action
