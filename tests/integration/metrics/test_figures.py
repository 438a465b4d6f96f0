"""The figures of both metrics: real files, random rows against pandas, edges of years, order."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pandas as pd
import psycopg2
import pytest

from rowboat.metrics.definitions import Metric
from tests.acceptance.conftest import CHALLENGE
from tests.conftest import Boat
from tests.support.figures import (
    BOTH,
    DEPARTMENTS,
    HIRES,
    QUARTERS,
    compute,
    hire,
    name,
    plan,
    rows,
)


@pytest.mark.skipif(not CHALLENGE.is_dir(), reason=f"the real files are not in {CHALLENGE}")
def test_real_files(boat: Boat) -> None:
    for path in CHALLENGE.glob("*.csv"):
        boat.write(path.name, path.read_bytes())
    boat.ingest()
    quarters = compute(boat.connect("api"), QUARTERS)
    assert quarters.result.columns == ("department", "job", "Q1", "Q2", "Q3", "Q4")
    assert len(quarters.result.rows) == 933
    sums = [sum(row[at] for row in quarters.result.rows) for at in range(2, 6)]
    assert sums == [249, 454, 453, 487]
    assert quarters.left_out == {
        HIRES: 70,
        "hired_employees.departments": 0,
        "hired_employees.jobs": 0,
    }
    departments = compute(boat.connect("api"), DEPARTMENTS)
    assert departments.result.columns == ("id", "department", "hired")
    assert departments.result.rows == [
        (8, "Support", 216),
        (5, "Engineering", 205),
        (6, "Human Resources", 201),
        (7, "Services", 200),
        (4, "Business Development", 185),
        (3, "Research and Development", 148),
        (9, "Marketing", 142),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_random_rows(boat: Boat, seed: int) -> None:
    """Compare with what pandas makes of the same rows."""
    random = Random(seed)
    departments = random.choices(
        ["Ärzte", "Zoll", "apples", "Äpfel", "a b", "ab", "日本", "😀"], k=9
    )
    jobs = random.choices(["z", "Z", "é", "e", "e ", "Job"], k=7)
    name(boat, departments, jobs)
    start = datetime(2020, 12, 25, tzinfo=UTC)
    edges = [datetime(2021, month, 1, tzinfo=UTC) for month in (1, 4, 7, 10)]
    times = [start + timedelta(hours=random.randrange(24 * 380)) for _ in range(400)]
    times += [edge + timedelta(microseconds=off) for edge in edges for off in (-1, 0, 1)]
    hires = [(at, random.randint(1, 6), random.randint(1, 7)) for at in times]
    hire(boat, *((at.isoformat(), *of) for at, *of in hires))
    frame = pd.DataFrame(hires, columns=["at", "department_id", "job_id"])
    frame["department"] = frame.department_id.map(lambda id_: departments[id_ - 1])
    frame["job"] = frame.job_id.map(lambda id_: jobs[id_ - 1])
    for year in (2020, 2021, 2022):
        hired = frame[frame["at"].dt.year == year]
        assert rows(boat, QUARTERS, year) == quarters_of(hired)
        assert rows(boat, DEPARTMENTS, year) == departments_of(hired, departments)


def quarters_of(hired: pd.DataFrame) -> list[tuple[Any, ...]]:
    found = []
    for names, group in hired.groupby(["department", "job"]):
        counts = [int((group["at"].dt.quarter == quarter).sum()) for quarter in (1, 2, 3, 4)]
        found.append((*names, *counts))
    return sorted(found, key=lambda row: (row[0].encode(), row[1].encode()))


def departments_of(hired: pd.DataFrame, names: list[str]) -> list[tuple[Any, ...]]:
    counts = hired.groupby("department_id").size()
    above = counts[counts > len(hired) / len(names)]
    found = [(int(id_), names[int(id_) - 1], int(count)) for id_, count in above.items()]
    return sorted(found, key=lambda row: (-row[2], row[1].encode(), row[0]))


def test_the_utc_year_decides(boat: Boat) -> None:
    name(boat, ["D"], ["J"])
    hire(boat, ("2020-12-31T23:59:59.999999Z", 1, 1), ("2021-01-01T00:00:00Z", 1, 1))
    hire(boat, ("2021-12-31T23:59:59.999999Z", 1, 1), ("2022-01-01T00:00:00Z", 1, 1))
    for zone in ("UTC", "America/Lima", "Pacific/Kiritimati"):
        with closing(psycopg2.connect(boat.uri("api"))) as connection:
            cursor = connection.cursor()
            cursor.execute("select set_config('timezone', %s, false)", (zone,))
            cursor.execute(QUARTERS.statement, {"year": 2021})
            assert cursor.fetchall() == [("D", "J", 1, 0, 0, 1)], zone


@pytest.mark.parametrize("year", [1, 2020, 9999])
def test_years_at_the_ends(boat: Boat, year: int) -> None:
    name(boat, ["D"], ["J"])
    hire(boat, ("0001-01-01T00:00:00Z", 1, 1), ("9999-12-31T23:59:59.999999Z", 1, 1))
    found = {1: [("D", "J", 1, 0, 0, 0)], 2020: [], 9999: [("D", "J", 0, 0, 0, 1)]}
    assert rows(boat, QUARTERS, year) == found[year]


def test_order_and_ties(boat: Boat) -> None:
    """Names stand in byte order, whatever the language of the database."""
    name(boat, ["b", "B", "é", "Z", "a", "none", "never"], ["j"])
    hire(boat, *(("2021-05-05Z", n, 1) for n in (1, 1, 2, 2, 3, 3, 4, 4, 5)))
    assert rows(boat, DEPARTMENTS) == [(2, "B", 2), (4, "Z", 2), (1, "b", 2), (3, "é", 2)]
    assert [row[0] for row in rows(boat, QUARTERS)] == ["B", "Z", "a", "b", "é"]


def test_the_mean_is_over_all_departments(boat: Boat) -> None:
    """Two hires in two departments of four: the mean is 1, and 1 is not above it."""
    name(boat, ["a", "b", "c", "d"], ["j"])
    hire(boat, ("2021-05-05Z", 1, 1), ("2021-05-05Z", 1, 1), ("2021-05-05Z", 2, 1))
    hire(boat, ("2021-05-05Z", 3, 1))
    assert rows(boat, DEPARTMENTS) == [(1, "a", 2)]


def test_names_that_stand_twice(boat: Boat) -> None:
    name(boat, ["D", "D"], ["J", "J"])
    hire(boat, ("2021-01-01Z", 1, 1), ("2021-04-01Z", 2, 2), ("2021-04-01Z", 1, 2))
    assert rows(boat, QUARTERS) == [("D", "J", 1, 2, 0, 0)]
    assert rows(boat, DEPARTMENTS) == [(1, "D", 2)]


@pytest.mark.parametrize("wanted", BOTH, ids=lambda each: each.name)
def test_nothing_there(boat: Boat, wanted: Metric) -> None:
    assert rows(boat, wanted) == []
    name(boat, ["D"], ["J"])
    assert rows(boat, wanted) == []


def test_left_out(boat: Boat) -> None:
    boat.write("departments.csv", "1,D\n2,\nx,E\n")
    boat.write("jobs.csv", "1,J\n1,K\n")
    boat.ingest()
    assert compute(boat.connect("api"), QUARTERS).left_out == {
        HIRES: 0,
        "hired_employees.departments": 2,
        "hired_employees.jobs": 1,
    }
    boat.query("update ingest_status.rejected_rows set settled_at = now(), settled_as = 'loaded'")
    assert set(compute(boat.connect("api"), QUARTERS).left_out.values()) == {0}


@pytest.mark.parametrize("wanted", BOTH, ids=lambda each: each.name)
def test_other_years_are_not_read(boat: Boat, wanted: Metric) -> None:
    """Where hires came in the order of their time, a metric reads those around its year."""
    name(boat, ["D"], ["J"])
    boat.query(
        f"insert into {HIRES} (employee_name, hired_date, department_id, job_id)"
        " select 'A', timestamptz '2012-01-01Z' + n * interval '1 hour', 1, 1"
        " from generate_series(1, 87600) as n"
    )
    with closing(boat.connect("owner")) as owner:
        owner.autocommit = True
        owner.cursor().execute(f"vacuum analyze {HIRES}")
    indexes = {node.get("Index Name") for node in plan(boat, wanted)}
    assert "hired_employees_hired_date" in indexes
