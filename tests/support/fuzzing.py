"""How long the fuzzing tests look: ROWBOAT_FUZZ times as long as usual, then by chance."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("ROWBOAT_FUZZ", "1"))


def fuzzed(examples: int) -> Any:
    """Try so many examples, the same ones each time unless ROWBOAT_FUZZ asks for more."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
