"""Attack the whole and print what was found: `make chaos`, or `python -m tests.chaos NAME…`."""

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.conftest import System, running
from tests.chaos import cut_connections, faults, traffic
from tests.chaos.rounds import Score, batches, play
from tests.chaos.sandbox import NotRun
from tests.chaos.system import check_rest
from tests.chaos.workloads import LIFTED, check_set
from tests.conftest import ROOT

FAULTS: dict[str, Callable[[Path, int], str]] = {
    "full-data": faults.full_data,
    "full-temporary": faults.full_temporary,
    "full-shelf": faults.full_shelf,
    "read-only": faults.read_only_folders,
    "clock": faults.clock,
    "cut": cut_connections.cut,
    "deadlocks": cut_connections.deadlocks,
    "two-systems": cut_connections.two_systems,
    "traffic": traffic.half_an_hour,
}
EVERY = ("kills", *FAULTS)


def main() -> int:
    """Play what was asked for; 1 where anything was found."""
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(EVERY)}; none: all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--rounds", type=int, default=200, help="of kills")
    asked = parser.parse_args()
    for one in (signal.SIGINT, signal.SIGTERM):  # in a shell's background too, all is put down
        signal.signal(one, signal.default_int_handler)
    print(f"seed {asked.seed}", flush=True)
    if strange := sorted({*asked.names} - {*EVERY}):
        parser.error(f"there is no {', '.join(strange)}")
    failed = []
    for name in asked.names or EVERY:
        if name == "kills":
            failed += kills(asked.seed, asked.rounds)
        elif not faulty(name, asked.seed):
            failed.append(f"{name} --seed {asked.seed}")
    for each in failed:
        print(f"failed; again: python -m tests.chaos {each}")
    return bool(failed)


def faulty(name: str, seed: int) -> bool:
    """Make a fault once; tell whether all was well."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        try:
            said = FAULTS[name](Path(folder), seed)
        except NotRun as reason:
            said = f"NOT RUN: {reason}"
        except (Exception, pytest.fail.Exception) as error:
            said = f"FAILED: {type(error).__name__}: {error}"
    print(f"{name}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
    return not said.startswith("FAILED")


def kills(seed: int, rounds: int) -> list[str]:
    """Play rounds of kills on a system of their own; return what was found.

    The nth round has the seed SEED + n, so that a batch can be played again by itself.
    """
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        folder, score, begun = Path(name), Score(), time.monotonic()
        (folder / "raw_data").mkdir()
        for path in (ROOT / "raw_data").glob("*.csv"):
            shutil.copy(path, folder / "raw_data")
        (folder / "temporary").mkdir()
        with running(folder, TMPDIR=str(folder / "temporary")) as system:
            system.query(LIFTED, role="rowboat_owner")
            for batch in batches(system, range(seed, seed + rounds)):
                with _told(score, f"kills --seed {batch[0].seed} --rounds {len(batch)}"):
                    play(system, batch, score)
                print(f"{score.works.total()} rounds, {time.monotonic() - begun:.0f} s", flush=True)
            with _told(score, f"kills --seed {seed} --rounds {rounds}"):
                at_the_end(system)
        print(score)
        return score.failed


@contextmanager
def _told(score: Score, again: str) -> Iterator[None]:
    """Print and count what fails, with how to see it again."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        print(f"FAILED: {type(error).__name__}: {error}\nagain: python -m tests.chaos {again}")
        score.failed.append(again)


def at_the_end(system: System) -> None:
    """Check the whole once more, after one undisturbed backup, which tidies the shelf."""
    run, state = system.run("backup")
    assert state == "success", f"the last backup {run} is {state}"
    check_rest(system)
    shelf = Path(system.environment["ROWBOAT_BACKUPS"])
    hidden = [each.name for each in shelf.iterdir() if each.name.startswith(".")]
    assert hidden == [], "half sets on the shelf"
    for each in shelf.iterdir():
        check_set(system, each.name)
    recorded = system.query("select distinct set_name from backup_status.backup_status")
    assert {name for (name,) in recorded} == {each.name for each in shelf.iterdir()}
    assert [each.name for each in system.raw.iterdir() if each.name.startswith(".")] == []
    left = [each.name for each in Path(system.environment["TMPDIR"]).iterdir()]
    assert len(left) < 5, f"temporary files that killed processes left: {left}"


if __name__ == "__main__":
    sys.exit(main())
