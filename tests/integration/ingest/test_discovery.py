"""Which table a file belongs to, and when it is taken."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import FileChanged, FileRefused
from rowboat.ingest import discovery
from rowboat.ingest.run import order_files
from rowboat.storage import disk
from tests.conftest import Boat

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


@pytest.fixture
def catalog(boat: Boat, declare: Declare) -> Catalog:
    declare(
        "create schema s; create table s.jobs (id integer primary key);"
        "create table s.jobs_old (id integer primary key);"
        'create table s."Jobs_Old" (id integer primary key)'
    )
    return boat.catalog()


AMBIGUOUS = "belongs to {} and {} alike: put the schema in front of its name"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("departments.csv", "hired_employees.departments"),
        ("departments-2021-02.csv.gz", "hired_employees.departments"),
        ("DEPARTMENTS.TSV.GZ", "hired_employees.departments"),
        ("hired_employees.csv", "hired_employees.hired_employees"),
        ("hired_employees.departments_2.txt", "hired_employees.departments"),
        ("hired_employees/departments.csv", "hired_employees.departments"),
        ("departments/hired_employees.csv", "hired_employees.departments"),
        ("departments/march/1.csv", "hired_employees.departments"),
        ("other/departments/1.csv", "hired_employees.departments"),
        ("departments-old/1.csv", None),
        ("jobs_old.csv", "s.jobs_old"),
        ("Jobs_Old.csv", "s.Jobs_Old"),
        ("jobs_old-2.csv", "s.jobs_old"),
        ("s.jobs.csv", "s.jobs"),
        ("s.jobs/1.csv", "s.jobs"),
        ("jobs.csv", AMBIGUOUS.format("hired_employees.jobs", "s.jobs")),
        ("JOBS_OLD.csv", AMBIGUOUS.format("s.Jobs_Old", "s.jobs_old")),
        ("departments", "does not end in .csv, .tsv, .txt, with or without .gz or .zip"),
        ("departments.gz", "does not end in .csv, .tsv, .txt, with or without .gz or .zip"),
        ("departments.csv.xz", "does not end in .csv, .tsv, .txt, with or without .gz or .zip"),
        ("1.csv", None),
    ],
)
def test_match(catalog: Catalog, name: str, found: str | None) -> None:
    nothing = (
        "belongs to no table: its name begins with none of departments, jobs, Jobs_Old, jobs,"
        " jobs_old, hired_employees"
    )
    table, problem = discovery.match_table(name, catalog)
    assert (table.full_name if table else problem) == (found or nothing)


NONE = "belongs to no table: its name begins with none of {}"
UNSURE = "belongs to {} and {} alike: move it to a folder named after its table"
GOES_ON = "belongs to no table: its name begins with {} but goes on with {}"
SHOPS = (
    "shop1.invoices", "shop2.invoices", "shop2.orders", "shop2.invoices_old",
    "geo.country", "geo.country_codes", "geo.iso3166", "geo.größe",
    "hr.staff", "staff.rooms", "y.address", "y.address2", "y.sales", "y.sales_2024", "y._",
)  # fmt: skip


@pytest.fixture(scope="module")
def shops() -> Catalog:
    """Tables without columns: only their names count here."""
    return Catalog(tuple(
        Table(schema, name, None, False, (), None, (), (), ())
        for schema, _, name in (each.partition(".") for each in SHOPS)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found"),
    [
        # A folder's table comes before the file's own name, the innermost one first.
        ("orders/country.csv", "shop2.orders"),
        ("orders/country/sales.csv", "geo.country"),
        ("country/2024/orders.csv", "geo.country"),
        ("orders-2024/sales.csv", "y.sales"),
        # A folder of a schema narrows what lies in it.
        ("shop1/invoices.csv", "shop1.invoices"),
        ("shop2/invoices.csv", "shop2.invoices"),
        ("shop1/invoices/2024.csv", "shop1.invoices"),
        ("shop1/invoices/orders.csv", "shop1.invoices"),
        ("shop2/2024/may/invoices-7.csv.gz", "shop2.invoices"),
        ("2024/shop1/invoices_2024-05-01.csv", "shop1.invoices"),
        ("SHOP-1/Invoices.csv", "shop1.invoices"),
        ("shop1/shop1.invoices.csv", "shop1.invoices"),
        ("shop2/orders/shop1/invoices.csv", "shop2.orders"),
        ("invoices.csv", AMBIGUOUS.format("shop1.invoices", "shop2.invoices")),
        ("invoices/2024.csv", AMBIGUOUS.format("shop1.invoices", "shop2.invoices")),
        ("shop3/invoices.csv", AMBIGUOUS.format("shop1.invoices", "shop2.invoices")),
        ("shop1/orders.csv", NONE.format("invoices")),
        ("shop1/orders/2024.csv", NONE.format("invoices")),
        ("shop1/shop2.orders.csv", NONE.format("invoices")),
        # A schema and a table of one name.
        ("staff/rooms.csv", "staff.rooms"),
        ("staff/may.csv", "hr.staff"),
        ("hr/staff/rooms.csv", "hr.staff"),
        # Names are compared without case and separators.
        ("country-codes.csv", "geo.country_codes"),
        ("Country Codes.csv", "geo.country_codes"),
        ("CountryCodes.csv", "geo.country_codes"),
        ("country.codes.2024.csv", "geo.country_codes"),
        ("country-codes/2024.csv", "geo.country_codes"),
        ("geo/country codes/sales.csv", "geo.country_codes"),
        ("geo.country-codes-2.csv", "geo.country_codes"),
        ("iso-3166.csv", "geo.iso3166"),
        ("gro\u0308\u00dfe.csv", "geo.größe"),
        ("country-regions.csv", "geo.country"),
        ("shop2-orders.csv", NONE),
        # What may follow a name.
        ("sales2023.csv", "y.sales"),
        ("sales_2023-05.csv", "y.sales"),
        ("sales__7.csv", "y.sales"),
        ("sales 2023.csv", "y.sales"),
        ("sales (1).csv", "y.sales"),
        ("sales(1).csv", "y.sales"),
        ("sales.2023.csv", "y.sales"),
        ("sales-new.csv", "y.sales"),
        ("sales_.csv", "y.sales"),
        ("sales_2024_05.csv", "y.sales_2024"),
        ("sales_history.csv", GOES_ON.format("sales", "_history")),
        ("Sales_v2.csv", GOES_ON.format("Sales", "_v2")),
        ("salesmen.csv", GOES_ON.format("sales", "men")),
        ("sales\u0301.csv", NONE),
        ("shop2/invoices_old2.csv", "shop2.invoices_old"),
        ("shop2/invoices_older.csv", GOES_ON.format("invoices_old", "er")),
        # A number ends with its last digit.
        ("address2.csv", "y.address2"),
        ("address2-7.csv", "y.address2"),
        ("address27.csv", "y.address"),
        ("iso31662.csv", GOES_ON.format("iso3166", "2")),
        ("sales_20245.csv", "y.sales"),
        # As it is written one table fits, and without separators another.
        ("address-2.csv", UNSURE.format("y.address", "y.address2")),
        ("sales2024.csv", UNSURE.format("y.sales", "y.sales_2024")),
        ("address2/address-2.csv", "y.address2"),
        # The folders of a file elsewhere come after its own name.
        ("/srv/country/orders.csv", "shop2.orders"),
        ("/srv/shop1/orders.csv", "shop2.orders"),
        ("/srv/shop1/invoices.csv", "shop1.invoices"),
        ("/srv/orders/may.csv", "shop2.orders"),
    ],
)  # fmt: skip
def test_place_and_name(shops: Catalog, name: str, found: str) -> None:
    table, problem = discovery.match_table(name, shops)
    assert (table.full_name if table else problem) == found.format(
        ", ".join(each.name for each in shops.in_order())
    )


@pytest.mark.parametrize(
    "names",
    [
        ["jobs.csv", "jobs-2.csv", "jobs-10.csv"],
        ["jobs-2021-9-30.csv", "jobs-2021-10-1.csv"],
        ["jobs-7.csv", "jobs-08.csv", "jobs-9.csv.gz", "jobs-0010.tsv"],
        ["jobs/2/9.csv", "jobs/2/10.csv", "jobs/10/1.csv"],
        ["jobs-1.9.csv", "jobs-1.10.csv", "jobs-1.10.1.csv"],
        ["jobs-01.csv", "jobs-1.csv", "jobs-1b.csv"],
        ["departments/a.csv", "departments/b.csv", "jobs.csv", "jobs (2).csv"],
        [f"jobs-{'9' * 240}.csv", f"jobs-1{'0' * 240}.csv"],
        ["jobs-٣.csv", "jobs-4.csv"],  # a digit of any script
    ],
)
def test_listing_is_in_natural_order(boat: Boat, names: list[str]) -> None:
    for name in reversed(names):
        boat.write(name, "")
    assert [each.name for each in discovery.scan_folder(boat.catalog())] == names


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        [f"departments-{n}.csv" for n in range(1, 12)],
        ["departments.csv", "departments-2.csv", "departments-10.csv"],
        ["departments/2021-9.csv", "departments/2021-10.csv"],
        ["departments_1.2.csv", "departments_1.10.csv.gz"],
    ],
)
def test_the_last_file_wins(boat: Boat, names: list[str], dry_run: bool) -> None:
    for name in reversed(names):
        content = f"1,{name}\n".encode()
        boat.write(name, gzip.compress(content) if name.endswith(".gz") else content)
    loaded: list[str] = []
    reports = boat.ingest(dry_run=dry_run, progress=lambda name, *_: loaded.append(name))
    assert loaded == list(reports) == names
    assert boat.departments() == ([] if dry_run else [(1, names[-1])])
    found = discovery.scan_folder(boat.catalog())[::-1]
    assert [each.name for each in order_files(found, boat.catalog())] == names


class Clock:
    """Time that passes only while somebody sleeps; each sleep first does the next deed."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self.now = 1_000_000.0
        self.deeds = list(deeds)

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.deeds:
            self.deeds.pop(0)()


@pytest.fixture
def file(boat: Boat, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was written a moment ago, with a second to be still."""
    setting("settle", "1")
    path = boat.write("departments.csv", "1,a\n")
    touch(path, 999_999.9)
    return path


def touch(path: Path, at: float) -> None:
    os.utime(path, ns=(0, int(at * 1e9)))


def waited(path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> float:
    monkeypatch.setattr(disk, "time", clock)
    start = clock.now
    disk.wait_until_still(path)
    return round(clock.now - start, 3)


def test_old_file_is_taken_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(file, 999_000)
    assert waited(file, monkeypatch, Clock()) == 0


def test_new_file_must_be_still_for_a_moment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(file, monkeypatch, Clock()) == 0.9


def test_file_of_the_future_must_be_still_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(file, 2_000_000)
    assert waited(file, monkeypatch, Clock()) == 1.0


def test_growing_file_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grow() -> None:
        with file.open("a") as opened:
            opened.write("2,b\n")

    assert waited(file, monkeypatch, Clock(grow, grow, grow)) == 1.3


def test_file_that_never_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deeds = [lambda at=at: touch(file, at) for at in range(1000)]
    with pytest.raises(FileChanged) as raised:
        waited(file, monkeypatch, Clock(*deeds))
    assert (raised.value.fact, raised.value.hint) == (
        "it is still being written",
        "wait until it has been written, then run `rowboat ingest` again",
    )


def test_file_that_vanishes_meanwhile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileChanged) as raised:
        waited(file, monkeypatch, Clock(file.unlink))
    assert raised.value.fact == "it vanished before it was read"


def test_file_that_cannot_be_looked_at(file: Path) -> None:
    with pytest.raises(FileRefused) as raised:
        disk.wait_until_still(file / "within.csv")
    assert (raised.value.fact, raised.value.hint) == (
        "it cannot be read: not a directory",
        "check its rights",
    )
