"""A system of its own is attacked and crowded: short forms of what `make chaos` does at length."""

import shutil
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import System, running
from tests.chaos.posting import Posts
from tests.chaos.rounds import Score, draw, play
from tests.chaos.traffic import Traffic
from tests.chaos.workloads import LIFTED, Append, Backup, Ingest, Restore, Work
from tests.conftest import ROOT

SEED = 20_240_229
KILLS: list[tuple[type[Work], str]] = [
    (Append, "task"), (Backup, "scheduler"), (Posts, "api"), (Ingest, "postgres"),
    (Restore, "triggerer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system that no other test looks at."""
    folder = tmp_path_factory.mktemp("attacked")
    shutil.copytree(ROOT / "raw_data", folder / "raw_data")
    with running(folder) as system:
        yield system


def test_two_minutes_of_traffic(attacked: System) -> None:
    report = Traffic(attacked, SEED, minutes=2).run()
    assert {"post", "read", "metric", "upload", "operate"} == set(report.took), str(report)


@pytest.mark.slow
def test_kills_lose_and_double_nothing(attacked: System) -> None:
    rounds = [draw(attacked, SEED + n, *drawn) for n, drawn in enumerate(KILLS)]
    attacked.query(LIFTED, role="rowboat_owner")
    score = Score()
    play(attacked, rounds, score)
    assert score.midway > len(rounds) / 2, [str(one) for one in rounds]  # else it says little
