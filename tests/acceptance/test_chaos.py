"""Parts of the running system are killed in the middle of works; `make chaos` plays 200 rounds."""

import pytest

from tests.acceptance.conftest import System
from tests.chaos.posting import Posts
from tests.chaos.rounds import Score, draw, play
from tests.chaos.system import part, until
from tests.chaos.works import LIFTED, Append, Backup, Ingest, Restore, Work

SEED = 20_240_229
ROUNDS: list[tuple[type[Work], str]] = [
    (Append, "task"),
    (Backup, "worker"),
    (Restore, "scheduler"),
    (Posts, "api"),
    (Ingest, "postgres"),
]


def test_killed_idle_workers_take_no_run_with_them(system: System) -> None:
    """One of them holds the lock of the queue at which all others wait."""
    [scheduler, *workers] = part(system, "scheduler")
    for each in workers:
        each.kill()
    run = system.airflow.trigger("ingest")
    until("the run ends", lambda: system.airflow.state("ingest", run) == "success", 120)
    assert part(system, "scheduler")[0] != scheduler


@pytest.mark.slow
def test_kills_lose_and_double_nothing(system: System) -> None:
    system.query(LIFTED, role="rowboat_owner")
    score = Score()
    play(system, [draw(system, SEED + n, *drawn) for n, drawn in enumerate(ROUNDS)], score)
    assert score.midway > len(ROUNDS) / 2  # else the moments say little
