"""Loads: the first one against what people use, then everything that comes after it.

Every load is checked by its counts and by what stands in the table; the time that it takes is not.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import count

from rowboat.catalog import tables
from rowboat.database import connections, embedded
from rowboat.database.connections import transaction
from rowboat.ingest import discovery, load
from rowboat.ingest.reports import Run
from rowboat.ingest.run import ingest_files, triage_files
from rowboat.settings import settings
from tests.benchmarks import other_tools
from tests.benchmarks.compare import OURS, Ratio, Target, Work, compare, timed
from tests.benchmarks.places import Place, hires

FEW = 1_000
SHARE = 20  # pandas loads only so manieth of the rows: the whole would take minutes
FILES = 5
PEAKS = 2  # of each size: they hardly differ
# A small process in between: what is started by a large one begins with the peak of that.
SMALL = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
UNCHANGED = 1_000
SHAPES = (  # of flawed rows: what to make of a good one
    lambda row: row.replace("T", "X", 1),
    lambda row: row.rsplit(",", 2)[0] + ",99,1\n",
    lambda row: row.replace(row.split(",")[1], "", 1),
    lambda row: row.rstrip("\n") + ",more\n",
    lambda row: "x" + row,
    lambda row: "1," + row.partition(",")[2],
)


def first(at: Place, rows: int) -> list[Ratio]:
    """Load clean rows into the empty table, against every rival."""
    file, some = at.raw / "hired_employees.csv", at.folder / "some.csv"
    hires(file, rows)
    hires(some, rows // SHARE)
    address = at.server.uri(embedded.SUPERUSER)

    def rival(work: Callable[[], float | None], wanted: int | None = rows) -> Work:
        def run() -> float | None:
            at.empty()
            seconds = work()
            if seconds is not None and wanted is not None:
                assert at.count() == wanted
            return seconds

        return run

    def peer(name: str) -> Work:
        wanted = None if name.startswith("dlt") else rows
        return rival(lambda: other_tools.load(name, address, file), wanted)

    def pandas() -> float | None:
        seconds = other_tools.load("pandas_to_sql", address, some)
        return seconds and seconds * SHARE

    key = "types, NULLs, key: the first flaw ends it"
    others = [
        (r"`\copy`", rival(lambda: other_tools.copy_client(address, file)), Target(0.45, 0.25),
         "types, NULLs, key, parents: the first flaw ends it"),
        (r"`\copy`, triggers not firing", rival(lambda: other_tools.copy_silent(address, file)),
         Target(2.6, 1.3), key),
        ("dlt, CSV", peer("dlt_merge"), Target(0.5, 0.3), other_tools.LOADS["dlt_merge"]),
        ("dlt, Parquet", peer("dlt_parquet"), Target(0.5, 0.3), other_tools.LOADS["dlt_parquet"]),
        ("ADBC", peer("adbc"), None, other_tools.LOADS["adbc"]),
        ("pgloader", peer("pgloader"), Target(0.5, 0.25), other_tools.LOADS["pgloader"]),
        (f"pandas `to_sql`, a {SHARE}th of the rows times {SHARE}", rival(pandas, rows // SHARE),
         Target(0.05, 0.02), other_tools.LOADS["pandas_to_sql"]),
    ]  # fmt: skip
    return compare(
        f"load {rows:,} clean rows",
        {OURS: timed(lambda: at.load(file, inserted=rows), at.empty)}
        | {name: work for name, work, _, _ in others},
        {name: target for name, _, target, _ in others if target},
        {name: checks for name, _, _, checks in others},
    )


def flawed(at: Place, rows: int) -> list[Ratio]:
    """Load rows of which one in a hundred breaks a rule."""
    file, bad = at.raw / "hired_employees.csv", at.raw / "hired_employees-flawed.csv"
    hires(file, rows)
    with file.open() as good, bad.open("w") as out:
        for n, row in enumerate(good, 1):
            out.write(row if n % 100 else SHAPES[n // 100 % len(SHAPES)](row))
    broken = rows // 100
    works = {
        OURS: timed(lambda: at.load(bad, inserted=rows - broken, rejected=broken), at.empty),
        "clean rows": timed(lambda: at.load(file, inserted=rows), at.empty),
    }
    return compare(
        f"load {rows:,} rows, 1 % of them flawed", works, {"clean rows": Target(1.15, 1.05)}
    )


def appended(at: Place, rows: int) -> list[Ratio]:
    """Load what was appended to a large file that is loaded."""
    file = at.raw / "hired_employees.csv"
    hires(file, rows)
    at.empty()
    at.load(file, inserted=rows)
    begins, names = count(rows + 1, FEW), count()

    def append() -> None:
        hires(file, FEW, next(begins), "a")

    def tail() -> float | None:
        return timed(lambda: at.load(file, inserted=FEW), append)()

    def small() -> float | None:
        other = at.raw / f"hired_employees-small-{next(names)}.csv"
        hires(other, FEW, next(begins))
        return timed(lambda: at.load(other, inserted=FEW))()

    work = f"{FEW:,} rows appended to {rows:,}"
    against = f"a file of {FEW:,} rows"
    return compare(work, {OURS: tail, against: small}, {against: Target(1.5, 1.2)}, rounds=9)


def rewritten(at: Place, rows: int) -> list[Ratio]:
    """Load a file again in which one row in a hundred has changed."""
    file = at.raw / "hired_employees.csv"
    hires(file, rows)
    names = count()
    changed = rows // 100

    def change() -> None:
        name = f"Changed {next(names)}"
        aside = file.with_suffix(".new")
        with file.open() as old, aside.open("w") as new:
            for n, row in enumerate(old, 1):
                new.write(row if n % 100 else row.replace(row.split(",")[1], name, 1))
        aside.rename(file)

    def again() -> float | None:
        return timed(lambda: at.load(file, updated=changed, unchanged=rows - changed), change)()

    works = {
        "first load": timed(lambda: at.load(file, inserted=rows), at.empty),
        OURS: again,
    }
    work = f"{rows:,} rows again, 1 % changed"
    return compare(work, works, {"first load": Target(0.8, 0.4)})


def unchanged(at: Place, _: int) -> list[Ratio]:
    """Look for changes in a folder in which there are none, as `detect` does."""
    for path in at.raw.glob("hired_employees*"):
        path.unlink()
    at.empty()
    for n in range(UNCHANGED):
        hires(at.raw / f"hired_employees-{n}.csv", 1, n + 1)
    ingest_files([], Run("benchmark"))

    def look() -> None:
        with at.session() as connection:
            with transaction(connection) as cursor:
                known = tables.read_catalog(cursor)
            todo, _ = triage_files(
                connection, known, discovery.scan_folder(known), Run("benchmark")
            )
            assert not todo

    def stat() -> None:
        with os.scandir(at.raw) as entries:
            assert sum(entry.stat().st_size > 0 for entry in entries) >= UNCHANGED

    against = "`os.scandir` with `stat`"
    found = compare(
        f"{UNCHANGED:,} unchanged files",
        {OURS: timed(look), against: timed(stat)},
        {against: Target(3, 1.5)},
        rounds=9,
    )
    for path in at.raw.glob("hired_employees*"):
        path.unlink()
    return found


def side_by_side(at: Place, rows: int) -> list[Ratio]:
    """Load files of one table by two workers at the same time, and by one."""
    each = rows // FILES
    for n in range(FILES):
        hires(at.raw / f"hired_employees-{n}.csv", each, n * each + 1)
    names = [f"hired_employees-{n}.csv" for n in range(FILES)]
    with ProcessPoolExecutor(2) as two, ProcessPoolExecutor(1) as one:

        def by(pool: ProcessPoolExecutor) -> Callable[[], None]:
            def run() -> None:
                assert sum(pool.map(load_one, names)) == each * FILES

            return run

        works = {OURS: timed(by(two), at.empty), "1 worker": timed(by(one), at.empty)}
        work = f"{FILES} files of {each:,} rows, 2 workers"
        return compare(work, works, {"1 worker": Target(0.65, 0.55)})


def load_one(name: str) -> int:
    """Load a file in this process; return its inserted rows."""
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            known = tables.read_catalog(cursor)
        found = discovery.locate_file(settings().raw_data / name, known)
        report = load.load_file(connection, known, found, Run("benchmark"))
    return report.report.inserted


def memory(at: Place, rows: int) -> list[Ratio]:
    """Compare the peak memory of loads, one ten times as large, in processes of their own."""
    peaks = {}
    for size in (rows // 2, rows * 5):
        file = at.raw / f"hired_employees-{size}.csv"
        hires(file, size)
        pairs = []
        for _ in range(PEAKS):
            at.empty()
            pairs.append(_peak(file.name, size))
        peaks[size] = pairs
        file.unlink()
    small, large = sorted(peaks)
    pairs_ = tuple(zip(peaks[large], peaks[small], strict=True))
    ratio = Ratio(
        f"peak memory, {large:,} rows", f"{small:,} rows", pairs_, Target(1.1, 1.02), unit="MiB"
    )
    print(ratio, flush=True)
    return [ratio]


def _peak(name: str, rows: int) -> float:
    call = f"from tests.benchmarks.loads import peak; peak({name!r}, {rows})"
    command = [sys.executable, "-IS", "-c", SMALL, sys.executable, "-c", call]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return float(done.stdout.splitlines()[-1])


def peak(name: str, rows: int) -> None:
    """Load a file in this process and print its peak memory in MiB."""
    assert load_one(name) == rows
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
