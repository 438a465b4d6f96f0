"""How the work grows with the table: the same at sizes that are ten times each other's.

The exponent is the slope between two sizes in a plot of logarithms: 1 is work that grows as the
rows.
"""

import math
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from typing import Any

from rowboat.backup import take
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.metrics.definitions import find_metric
from tests.benchmarks.compare import table
from tests.benchmarks.places import DEPARTMENTS, TABLE, Place, hires

SMALLEST = 100_000


def growth(at: Place, largest: int) -> str:
    """Measure tables of up to so many rows; returns tables in Markdown."""
    sizes = [SMALLEST]
    while sizes[-1] * 10 <= largest:
        sizes.append(sizes[-1] * 10)
    if sizes[-1] < largest:
        sizes.append(largest)
    took: dict[str, list[float]] = {}
    for size in sizes:
        for name, seconds in measured(at, size).items():
            took.setdefault(name, []).append(seconds)
            print(f"    {size:,} rows, {name}: {seconds:.3f} s", flush=True)
    head = ("seconds", *(f"{size:,} rows" for size in sizes), "exponents")
    rows = [
        [name, *(f"{each:.3g}" for each in times), ", ".join(exponents(sizes, times))]
        for name, times in took.items()
    ]
    return f"## Growth\n\n{table(head, rows)}"


def exponents(sizes: list[int], times: list[float]) -> list[str]:
    """Return the slopes between each size and the next."""
    return [
        f"{math.log(later / earlier) / math.log(more / fewer):.2f}"
        for (fewer, more), (earlier, later) in zip(pairwise(sizes), pairwise(times), strict=True)
    ]


def measured(at: Place, rows: int) -> dict[str, float]:
    """Do everything once with a table of so many rows; returns seconds."""
    file, names = at.raw / "hired_employees.csv", ("quarters", "departments")
    hires(file, rows)
    at.empty()
    took = {"load": seconds(lambda: at.load(file, inserted=rows))}
    hires(file, 1_000, rows + 1, "a")
    took["load of 1,000 rows more"] = seconds(lambda: at.load(file, inserted=1_000))
    file.unlink()
    at.run(f"vacuum analyze {TABLE}")
    with closing(connections.connect(at.server.uri("rowboat_api"))) as connection:
        for name in names:
            took[f"metric {name}"] = min(ask(connection, name, rows + 1_000) for _ in range(2))
    with at.session() as connection:
        begun = time.perf_counter()
        name = take.take_backup(connection, [TABLE]).set
        took["backup, read back"] = time.perf_counter() - begun
        at.empty()
        order = RestoreOrder({TABLE: source_of_set(name, TABLE)}, "replace", "benchmark")
        took["restore"] = seconds(lambda: restore.restore_tables(connection, order))
    assert at.count() == rows + 1_000
    return took


def ask(connection: connections.Connection, name: str, rows: int) -> float:
    """Run the statement of a metric over so many hires; returns the seconds."""
    begun = time.perf_counter()
    with transaction(connection) as cursor:
        cursor.execute(find_metric(name).statement, {"year": 2021})
        found = cursor.fetchall()
    took = time.perf_counter() - begun
    if name == "quarters":
        assert sum(sum(quarters) for _, _, *quarters in found) == rows
    else:
        assert len(found) < DEPARTMENTS  # not all are above the average; none, if all are equal
    return took


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds that something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
