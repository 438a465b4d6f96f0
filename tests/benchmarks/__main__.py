"""Compares this project with what people use instead, side by side in one run.

    make bench                   everything, with 2 million rows; writes tests/benchmarks/RESULTS.md
    make bench ROWS=200000       with fewer rows
    .venv/bin/python -m tests.benchmarks [--rows N] [--growth N] [NAME …]     some of it, printed

Builds its own data, which are always the same, and starts its own server. Works take turns; a
median is one of ratios within a turn. Wrong results end it; slow ones do not.
"""

import argparse
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rowboat.database import embedded
from tests.benchmarks import arrival, backups, batches, growth, loads, metrics, other_tools
from tests.benchmarks.compare import Ratio, ratios_table
from tests.benchmarks.places import Place, place

RESULTS = Path(__file__).parent / "RESULTS.md"
WORKS: dict[str, Callable[[Place, int], list[Ratio]]] = {
    "first": loads.first,
    "flawed": loads.flawed,
    "appended": loads.appended,
    "rewritten": loads.rewritten,
    "unchanged": loads.unchanged,
    "workers": loads.side_by_side,
    "memory": loads.memory,
    "backups": backups.backups,
    "batches": batches.batches,
    "metrics": metrics.metrics,
    "arrival": arrival.arrival,
}
HOW = """\
Each ratio is this project's figure over the other's within one turn: below 1 this project needs
less. The median of the turns counts, then the least and the greatest; *must* and *aim* are what we
want it to stay below (rows per second: above). Seconds are medians of this run alone.
"""


def main() -> None:
    """Run what is named, or everything."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument(
        "--growth", type=int, default=10_000_000, help="rows of the largest table"
    )
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*WORKS, "growth"]))
    given = arguments.parse_args()
    ratios, curves = [], ""
    with place() as at:
        for name, work in WORKS.items():
            if name in given.names or not given.names:
                print(f"{name}:", flush=True)
                ratios += work(at, given.rows)
        if "growth" in given.names or not given.names:
            curves = growth.growth(at, given.growth)
    told = f"{ratios_table(ratios)}\n{curves}"
    print(told)
    if not given.names:
        RESULTS.write_text(f"# What was measured\n\n{machine(given.rows)}\n{HOW}\n{told}")


def machine(rows: int) -> str:
    """Describe when and on what it ran."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = [
        line.partition(": ")[2] for line in about.splitlines() if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    postgres = subprocess.run(
        [embedded.BINARIES / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    versions = ", ".join(f"{name} {number}" for name, number in other_tools.versions().items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {rows:,} rows; {os.cpu_count()} cores"
        f" ({named[0] if named else platform.machine()}), {memory:.0f} GiB, shared with others;"
        f" Python {platform.python_version()}, Postgres {postgres}, {versions}.\n"
    )


if __name__ == "__main__":
    main()
