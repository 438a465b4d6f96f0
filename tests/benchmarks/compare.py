"""Works in turn (A B C A B C …), and how this project's compares with each of the others."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Work = Callable[[], float | None]
OURS = "this project"
ROUNDS = 3
_HEAD = ("work", "against", "ratio", "least to greatest", "must", "aim", "seconds", "it checks")


@dataclass(frozen=True)
class Target:
    """Ratios that this project is to stay below; with `above` it is to stay above them."""

    must: float
    aim: float
    above: bool = False

    def verdict(self, ratio: float) -> str:
        """Tell in one word how a ratio stands to the target."""
        reaches = ratio.__ge__ if self.above else ratio.__le__
        return "aim" if reaches(self.aim) else "must" if reaches(self.must) else "missed"


@dataclass(frozen=True)
class Ratio:
    """This project's figure over another's, pair by pair; `checks` tells what the other checks."""

    work: str
    against: str
    pairs: tuple[tuple[float, float], ...]
    target: Target | None = None
    checks: str = ""
    unit: str = "s"

    @property
    def ratios(self) -> list[float]:
        """The ratios, least first."""
        return sorted(ours / theirs for ours, theirs in self.pairs)

    def cells(self) -> list[str]:
        """Return it as a row of the table."""
        middle, ratios = statistics.median(self.ratios), self.ratios
        ours, theirs = (statistics.median(each) for each in zip(*self.pairs, strict=True))
        target = self.target
        return [
            self.work,
            self.against,
            f"**{middle:.2f}**" + (f" ({target.verdict(middle)})" if target else ""),
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            f"{target.must:g}" if target else "",
            f"{target.aim:g}" if target else "",
            f"{ours:.3g} / {theirs:.3g} {self.unit}",
            self.checks,
        ]

    def __str__(self) -> str:
        cells = self.cells()
        return f"{self.work} / {self.against}: {cells[2]} ({cells[3]}), {cells[6]}".replace(
            "**", ""
        )


def compare(
    work: str,
    works: Mapping[str, Work],
    targets: Mapping[str, Target],
    checks: Mapping[str, str] | None = None,
    rounds: int = ROUNDS,
) -> list[Ratio]:
    """Run works in turn and return the ratio of OURS to each of the others.

    A work returns its seconds; one that returns None is not installed and left out.
    """
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, run in works.items():
            seconds = run()
            if seconds is not None:
                took[name].append(seconds)
                print(f"    {work}, {name}: {seconds:.3f} s", flush=True)
    found = [
        Ratio(
            work,
            name,
            tuple(zip(took[OURS], others, strict=True)),
            targets.get(name),
            (checks or {}).get(name, ""),
        )
        for name, others in took.items()
        if name != OURS and others
    ]
    for ratio in found:
        print(ratio, flush=True)
    return found


def timed(work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> Work:
    """Make a work of something to do, after something else that is not counted."""

    def run() -> float:
        before()
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def ratios_table(ratios: list[Ratio]) -> str:
    """Return the table of all ratios."""
    return table(_HEAD, [ratio.cells() for ratio in ratios])
