"""Rounds of kills: each draws a work, a victim and a moment from a seed of its own.

Five of them go on at once, so that parts die while others are just coming back.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.acceptance.conftest import System
from tests.chaos.posting import Posts
from tests.chaos.system import (
    VICTIMS,
    candidates,
    check_rest,
    is_up,
    kill,
    open_runs,
    patiently,
    until,
)
from tests.chaos.workloads import Append, Backup, Ingest, Restore, Rewrite, Work

WORKS: tuple[type[Work], ...] = (Ingest, Append, Rewrite, Backup, Restore, Posts)
AT_ONCE = 5  # rounds of one batch
UP, SETTLED = 180.0, 300.0  # seconds until the system must be up again, the works done
BUSY = 3.0  # seconds that a kill waits for a task that it can meet


@dataclass
class Round:
    """One round: what was done to whom, and what became of it."""

    seed: int
    work: Work
    victim: str
    moment: float
    killed: str = ""
    midway: bool = False
    settled: float = 0.0

    def __str__(self) -> str:
        when = "midway" if self.midway else "after its end"
        return (
            f"  seed {self.seed}: {self.work.about}; at {self.moment:.2f} s, {when}, "
            f"{self.killed or f'no {self.victim}'}; settled after {self.settled:.0f} s"
        )


@dataclass
class Score:
    """What all rounds came to; times in seconds.

    Where a victim is not there in its moment, a round kills nobody: `victims` were killed.
    """

    works: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)
    midway: int = 0
    up: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        works, victims = (
            ", ".join(f"{name} {count}" for name, count in sorted(each.items()))
            for each in (self.works, self.victims)
        )
        return (
            f"{self.works.total()} rounds, {self.victims.total()} kills, "
            f"{self.midway} of them midway\n"
            f"works: {works}\nkilled: {victims}\n"
            f"up again after {_middle(self.up):.0f} s (median), {max(self.up, default=0):.0f} s at "
            f"most; works done after {_middle(self.settled):.0f} s, "
            f"{max(self.settled, default=0):.0f} s at most\n{len(self.failed)} failed"
        )


def draw(
    system: System, seed: int, work: type[Work] | None = None, victim: str | None = None
) -> Round:
    """Draw a round from its seed; a test may choose the work and the victim."""
    rng = Random(seed)
    drawn, whom = rng.choice(WORKS), rng.choices([*VICTIMS], [*VICTIMS.values()])[0]
    kind = work or drawn
    return Round(seed, kind(system, seed, rng), victim or whom, rng.random() * kind.span)


def batches(system: System, seeds: Iterable[int]) -> Iterator[list[Round]]:
    """Draw all rounds, five at once; restores one after the other, as all are of one table."""
    batch: list[Round] = []
    for seed in seeds:
        one = draw(system, seed)
        twice = isinstance(one.work, Restore) and any(isinstance(r.work, Restore) for r in batch)
        if twice or len(batch) == AT_ONCE:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def play(system: System, batch: list[Round], score: Score) -> None:
    """Play the rounds of a batch; raises AssertionError for what is wrong afterwards."""
    runs = open_runs(system)
    for one in batch:
        one.work.prepare()
        score.works[type(one.work).__name__.lower()] += 1
    until("all is prepared", lambda: all(one.work.prepared() for one in batch), UP)
    begun = time.monotonic()
    for one in batch:
        one.work.begin()
    for one in sorted(batch, key=lambda one: one.moment):
        until("the moment", lambda one=one: time.monotonic() > begun + one.moment)  # type: ignore[misc]
        _kill(system, one)
        if one.killed:
            score.victims[one.victim] += 1
            score.midway += one.midway
    killed = time.monotonic()
    try:
        until("all parts live and are ready", lambda: is_up(system), UP)
        score.up.append(time.monotonic() - killed)
        _settle(batch, begun)
        until("all parts still do", lambda: is_up(system), UP)
        for one in batch:
            assert one.settled, f"{one.work.about} (seed {one.seed}) does not end"
            one.work.check()
        check_rest(system, runs)
    finally:
        score.settled += [one.settled for one in batch]
        print(*batch, sep="\n", flush=True)


def _kill(system: System, one: Round) -> None:
    rng, end = Random(f"kill {one.seed}"), time.monotonic() + BUSY
    while not candidates(system, one.victim) and time.monotonic() < end:
        time.sleep(0.01)
    with patiently():
        one.midway = not one.work.done()
    one.killed = kill(system, one.victim, rng)


def _settle(batch: list[Round], begun: float) -> None:
    """Await the end of all works, each as it comes."""
    end = time.monotonic() + SETTLED
    while time.monotonic() < end and not all(one.settled for one in batch):
        for one in batch:
            with patiently():
                if not one.settled and one.work.done():
                    one.settled = time.monotonic() - begun
        time.sleep(0.1)


def _middle(found: list[float]) -> float:
    return sorted(found)[len(found) // 2] if found else 0.0
