"""Two minutes of mixed traffic on the running system; `make chaos` has half an hour of it."""

from tests.acceptance.conftest import System
from tests.chaos.traffic import Traffic


def test_two_minutes_of_traffic(system: System) -> None:
    report = Traffic(system, seed=20_240_229, minutes=2).run()
    assert {"post", "read", "metric", "upload", "operate"} == set(report.took), str(report)
