"""The system is crowded and attacked: short forms of what `make chaos` does at length."""

import pytest

from tests.acceptance.conftest import System
from tests.chaos.posting import Posts
from tests.chaos.rounds import Score, draw, play
from tests.chaos.traffic import Traffic
from tests.chaos.workloads import LIFTED, Append, Backup, Ingest, Restore, Work
from tests.support.effort import tries

SEED = 20_240_229
KILLS: list[tuple[type[Work], str]] = [
    (Append, "task"), (Backup, "scheduler"), (Posts, "api"), (Ingest, "postgres"),
    (Restore, "triggerer"),
]  # fmt: skip


def test_traffic(system: System) -> None:
    report = Traffic(system, SEED, minutes=tries(1, 4) / 2).run()
    assert {"post", "read", "metric", "upload", "operate"} == set(report.took), str(report)


@pytest.mark.slow
def test_kills_lose_and_double_nothing(system: System) -> None:
    rounds = [draw(system, SEED + n, *drawn) for n, drawn in enumerate(KILLS)]
    system.query(LIFTED, role="rowboat_owner")
    score = Score()
    play(system, rounds, score)
    assert score.midway > len(rounds) / 2, [str(one) for one in rounds]  # else it says little
