"""Settings of random tests; ROWBOAT_FUZZ multiplies the number of their examples.

`make chaos` looks ten times as long.
"""

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from tests.support.effort import tries

TIMES = int(os.environ.get("ROWBOAT_FUZZ", tries(1, 10)))

# For tests with a database: few examples, the same ones each time, and no shrinking.
thorough = settings(
    max_examples=tries(20, 60),
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


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
