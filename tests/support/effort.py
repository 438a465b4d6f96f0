"""How much the tests do that try many moments or inputs: little each day, much in `make chaos`."""

import os

LONG = os.environ.get("ROWBOAT_TEST_LONG") == "1"  # `environments/local/check long` sets it


def tries(short: int, long: int) -> int:
    """Return how often a test tries: `long` with ROWBOAT_TEST_LONG=1, else `short`."""
    return long if LONG else short
