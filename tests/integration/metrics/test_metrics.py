"""Metrics: their figures, and answers that are never older than the rows."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import psycopg2
import pytest
from click.testing import CliRunner

from rowboat.cli import commands
from rowboat.database.connections import Connection, transaction
from rowboat.errors import DatabaseRefused
from rowboat.metrics import definitions
from rowboat.metrics.definitions import Metric, find_metric
from rowboat.metrics.figures import (
    Cache,
    MetricFigures,
    Moment,
    add_up_writes,
    begin_moment,
    compute_figures,
    years_with_rows,
)
from tests.acceptance.conftest import CHALLENGE
from tests.conftest import Boat

HIRES = "hired_employees.hired_employees"
QUARTERS, DEPARTMENTS = find_metric("quarters"), find_metric("departments")
BOTH = [QUARTERS, DEPARTMENTS]


def compute(connection: Connection, wanted: Metric, year: int = 2021) -> MetricFigures:
    with transaction(connection) as cursor:
        return compute_figures(cursor, wanted, {"year": year}, begin_moment(cursor, wanted))


def rows(boat: Boat, wanted: Metric, year: int = 2021) -> list[tuple[Any, ...]]:
    return compute(boat.connect("api"), wanted, year).result.rows


def hire(boat: Boat, *hires: tuple[str, int, int]) -> None:
    """Insert hires of (time, department, job)."""
    boat.query(
        f"insert into {HIRES} (employee_name, hired_date, department_id, job_id)"
        " select 'A', * from unnest(%s::timestamptz[], %s::integer[], %s::integer[])",
        [list(each) for each in zip(*hires, strict=True)],
    )


def name(boat: Boat, departments: list[str], jobs: list[str]) -> None:
    """Insert departments and jobs, numbered from 1."""
    for table, column, names in (("departments", "department", departments), ("jobs", "job", jobs)):
        boat.query(
            f"insert into hired_employees.{table} (id, {column})"
            " select n, name from unnest(%s::text[]) with ordinality as t (name, n)",
            (names,),
        )


# The figures


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


# The files


@pytest.mark.parametrize("wanted", definitions.all_metrics().values(), ids=lambda each: each.name)
def test_a_header_tells_the_truth(boat: Boat, wanted: Metric) -> None:
    """The cache and the keys rely on the tables that it names, charts and years on the columns."""
    plans = list(plan(boat, wanted))
    found = {f"{node['Schema']}.{node['Relation Name']}" for node in plans if "Schema" in node}
    assert found == set(wanted.tables)
    columns = compute(boat.connect("api"), wanted).result.columns
    assert wanted.chart
    assert {wanted.chart.x, *wanted.chart.y} <= set(columns)
    with transaction(boat.connect("api")) as cursor:
        assert wanted.years
        assert years_with_rows(cursor, wanted) == []


@pytest.mark.parametrize("wanted", BOTH, ids=lambda each: each.name)
def test_names_are_sorted_by_bytes(boat: Boat, wanted: Metric) -> None:
    """The embedded server has no other order; the plan tells what others would do."""
    keys = [key for node in plan(boat, wanted) for key in node.get("Sort Key", ())]
    names = [key for key in keys if re.search(r"\b(department|job)\b", key)]
    assert names
    assert all(key.endswith('COLLATE "C"') for key in names)


def plan(boat: Boat, wanted: Metric) -> Iterator[dict[str, Any]]:
    """Yield the nodes of the plan of a metric."""
    with transaction(boat.connect("api")) as cursor:
        cursor.execute("explain (format json, verbose) " + wanted.statement, wanted.judge({}))
        [[[top]]] = cursor.fetchall()
    nodes = [top["Plan"]]
    while nodes:
        yield (node := nodes.pop())
        nodes += node.get("Plans", [])


def test_a_metric_writes_nothing(boat: Boat) -> None:
    writes = replace(QUARTERS, statement=f"delete from {HIRES} returning %(year)s")
    with pytest.raises(DatabaseRefused, match="cannot execute DELETE in a read-only transaction"):
        compute(boat.connect("owner"), writes)


# Versions: the rows are the same if they are


def seen(connection: Connection, wanted: Metric = QUARTERS) -> str | None:
    with transaction(connection) as cursor:
        return begin_moment(cursor, wanted).version


@pytest.fixture
def crew(boat: Boat) -> Boat:
    name(boat, ["D", "E"], ["J", "K"])
    hire(boat, ("2021-01-01Z", 1, 1), ("2021-05-01Z", 2, 2))
    return boat


WRITES = {
    "insert": f"insert into {HIRES} values (9, 'A', '2021-01-01Z', 1, 1)",
    "update": f"update {HIRES} set job_id = 2 where id = 1",
    "delete": f"delete from {HIRES} where id = 1",
    "truncate": f"truncate {HIRES}",
    "truncate of a parent": "truncate hired_employees.jobs cascade",
    "insert of a parent": "insert into hired_employees.departments values (9, 'F')",
    "cascade": "delete from hired_employees.departments where id = 1",
    "merge": f"merge into {HIRES} as h using hired_employees.jobs as j on h.id = j.id"
    " when matched then update set job_id = 2",
    "upsert": f"insert into {HIRES} values (1, 'A', '2021-01-01Z', 1, 2)"
    " on conflict (id) do update set job_id = excluded.job_id",
    "rewritten": f"alter table {HIRES} alter hired_date type timestamptz"
    " using hired_date - interval '1 year'",
    "in a block": f"do $$ begin delete from {HIRES}; exception when others then null; end $$",
    "a refused row": "with l as (insert into ingest_status.loads (table_name, source, source_name,"
    " actor, read, inserted, updated, unchanged, rejected)"
    " values ('x', 'api', 'x', 'x', 1, 0, 0, 0, 1) returning id)"
    " insert into ingest_status.rejected_rows (load_id, table_name, source, source_name, line, raw,"
    " reasons) select id, 'x', 'api', 'x', 0, '', '[]' from l",
}
OTHERS = {
    "nothing": "select 1",
    "another table": "insert into rowboat.usage values ('x', now(), 1)",
    "analyze": f"analyze {HIRES}",
    "locks": f"select * from {HIRES} for update",
    "lock": f"lock table {HIRES} in share mode",
    "rolled back": f"do $$ begin delete from {HIRES}; raise '%', 1;"
    " exception when others then null; end $$",
    "a number": "select nextval('hired_employees.hired_employees_id_seq')",
}


@pytest.mark.parametrize("write", WRITES)
def test_writes_are_seen(crew: Boat, write: str) -> None:
    connection = crew.connect("api")
    before = seen(connection)
    crew.query(WRITES[write])
    assert seen(connection) != before


@pytest.mark.parametrize("other", OTHERS)
def test_other_work_changes_no_version(crew: Boat, other: str) -> None:
    connection = crew.connect("api")
    before = seen(connection)
    crew.query(OTHERS[other])
    assert seen(connection) == before is not None


def test_copy_and_silent_triggers_are_seen(crew: Boat) -> None:
    """As a load does it: session_replication_role is replica, rows come by COPY."""
    versions = [seen(crew.connect("api"))]
    with transaction(crew.connect("loader")) as cursor:
        cursor.execute("set local session_replication_role = replica")
        cursor.copy_expert(f"copy {HIRES} from stdin", io.StringIO("9\tA\t2021-01-01Z\t1\t1\n"))
    versions.append(seen(crew.connect("api")))
    crew.write("jobs.csv", "1,J\n2,L\n")
    crew.ingest()
    versions.append(seen(crew.connect("api")))
    assert len(set(versions)) == 3


def test_a_metric_has_versions_of_its_own(crew: Boat) -> None:
    quarters, departments = seen(crew.connect("api")), seen(crew.connect("api"), DEPARTMENTS)
    crew.query("update hired_employees.jobs set job = 'X' where id = 1")
    assert seen(crew.connect("api")) != quarters
    assert seen(crew.connect("api"), DEPARTMENTS) == departments


def test_what_has_no_version(crew: Boat) -> None:
    crew.query("create view hired_employees.names as select 1 from hired_employees.departments")
    of_view = replace(QUARTERS, tables=("hired_employees.names",))
    assert seen(crew.connect("api"), of_view) is None
    of_now = replace(QUARTERS, statement="select now(), %(year)s")
    assert seen(crew.connect("api"), of_now) is None


def test_a_partition_of_its_own(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        "create schema s; create table s.p (id integer) partition by range (id);"
        " create table s.p1 partition of s.p for values from (0) to (10);"
    )
    wanted = replace(QUARTERS, tables=("s.p",), statement="select count(*), %(year)s from s.p")
    versions = [seen(boat.connect("owner"), wanted)]
    for write in (
        "insert into s.p1 values (1)",
        "insert into s.p values (2)",
        "create table s.p2 partition of s.p for values from (10) to (20)",
        "insert into s.p2 values (11)",  # nobody counts its writes yet
        "insert into s.p2 values (12)",
    ):
        boat.query(write)
        versions.append(seen(boat.connect("owner"), wanted))
    assert len(set(versions)) == len(versions)
    assert None not in versions


# Never stale


class Reader:
    """Answers as the API does, and compares each answer with the rows as they are."""

    def __init__(self, boat: Boat) -> None:
        self.connection, self.cache, self.hits = boat.connect("api"), Cache(), 0

    def read(self) -> None:
        for wanted in BOTH:
            with transaction(self.connection) as cursor:
                now = begin_moment(cursor, wanted)
                true = compute_figures(cursor, wanted, {"year": 2021}, now).document()
            kept = self.cache.find(wanted.name, now.version)
            if kept is None:
                self.cache.keep(wanted.name, now.version, encoded(true), None)
            else:
                self.hits += 1
                assert kept[0] == encoded(true)


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document | {"as_of": None}).encode()


STEPS = (
    f"insert into {HIRES} (employee_name, hired_date, department_id, job_id)"
    " select 'A', '2021-06-01Z', 1 + random()::integer, 1 + random()::integer",
    f"update {HIRES} set job_id = 3 - job_id where id = (select min(id) from {HIRES})",
    f"delete from {HIRES} where id = (select max(id) from {HIRES})",
    "update hired_employees.departments set department = department || '!' where id = 1",
    "savepoint s",
    "rollback to s",
    "select 1",
)


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "by the snapshot"])
@pytest.mark.parametrize("seed", range(3))
def test_never_stale(crew: Boat, seed: int, counted: bool) -> None:
    """Three writers whose transactions overlap, two readers with caches of their own."""
    if not counted:
        crew.query(f"alter table {HIRES} disable trigger rowboat_written")
    random = Random(seed)
    writers = [psycopg2.connect(crew.uri(role)) for role in ("owner", "api", "loader")]
    readers = [Reader(crew), Reader(crew)]
    try:
        for _ in range(150):
            step(random, random.choice(writers))
            random.choice(readers).read()
    finally:
        for each in writers:
            each.close()
    assert sum(each.hits for each in readers) > 20


def step(random: Random, writer: Connection) -> None:
    """Let a writer go on, commit or give up; whoever would wait for another gives up."""
    choice = random.random()
    if choice < 0.25:
        writer.commit()
    elif choice < 0.35:
        writer.rollback()
    else:
        cursor = writer.cursor()
        try:
            cursor.execute("set local lock_timeout = '10ms'")
            cursor.execute(random.choice(STEPS))
        except psycopg2.Error:
            writer.rollback()


def test_a_writer_that_was_there_before(crew: Boat) -> None:
    """It has written and not committed while the answer is computed."""
    reader = Reader(crew)
    writer = crew.connect("owner")
    with transaction(writer) as cursor:
        cursor.execute(WRITES["delete"])
        reader.read()
        reader.read()
        assert reader.hits == 2
    reader.read()
    assert reader.hits == 2


def test_counts_are_added_up(crew: Boat) -> None:
    """The sums stay as they are, those of a writer at work too."""
    for _ in range(5):
        crew.query(WRITES["update"])
    before, owner = seen(crew.connect("api")), crew.connect("owner")
    with transaction(owner) as cursor:
        cursor.execute(WRITES["delete"])
        with transaction(crew.connect("api")) as other:
            add_up_writes(other)
        assert seen(crew.connect("api")) == before
    moments = [now(crew), now(crew)]
    assert moments[0].version == moments[1].version != before
    assert moments[0].pieces == 4  # one for each of three tables, and the writer's
    with transaction(crew.connect("api")) as cursor:
        add_up_writes(cursor)
    assert now(crew).pieces == 3
    assert now(crew).version == moments[0].version


def now(boat: Boat) -> Moment:
    with transaction(boat.connect("api")) as cursor:
        return begin_moment(cursor, QUARTERS)


def test_two_add_up_at_once(crew: Boat) -> None:
    before = seen(crew.connect("api"))
    with transaction(crew.connect("api")) as first, transaction(crew.connect("loader")) as second:
        add_up_writes(first)
        second.execute("set local lock_timeout = '1s'")
        add_up_writes(second)  # leaves it to the first
    assert seen(crew.connect("api")) == before


def test_a_trigger_that_was_off(crew: Boat) -> None:
    """Nobody has counted the write, but the trigger has changed."""
    before = seen(crew.connect("api"))
    crew.query(f"alter table {HIRES} disable trigger rowboat_written")
    crew.query(WRITES["delete"])
    crew.query(f"alter table {HIRES} enable always trigger rowboat_written")
    assert seen(crew.connect("api")) != before


# The command line


def rowboat(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(commands.main, arguments, prog_name="rowboat")
    return done.exit_code, done.stdout_bytes.decode(), done.stderr


def test_metrics_on_the_line(crew: Boat) -> None:
    code, shown, _ = rowboat("metric", "quarters")
    assert code == 0
    lines = shown.splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["department", "job", "Q1", "Q2", "Q3", "Q4"],
        ["D", "J", "1", "0", "0", "0"],
        ["E", "K", "0", "1", "0", "0"],
    ]
    assert lines[-1].endswith(
        f"UTC; refused rows left out: {HIRES} 0, hired_employees.departments 0,"
        " hired_employees.jobs 0"
    )
    assert rowboat("metric", "quarters", "--format", "csv") == (
        0,
        "department,job,Q1,Q2,Q3,Q4\r\nD,J,1,0,0,0\r\nE,K,0,1,0,0\r\n",
        "",
    )
    for way in (["--json"], ["--format", "json"]):
        code, shown, said = rowboat("metric", "departments", "--set", "year=2021", *way)
        document = json.loads(shown)
        assert (code, said, document["metric"]) == (0, "", "departments")
        assert (document["parameters"], document["rows"]) == ({"year": 2021}, [])
        assert datetime.fromisoformat(document["as_of"]).utcoffset() == timedelta(0)


def test_other_years_and_wide_rows_on_the_line(crew: Boat) -> None:
    long = "L" * 300
    crew.query("update hired_employees.jobs set job = %s where id = 1", (long,))
    _, shown, _ = rowboat("metric", "quarters", "--format", "csv")
    assert [row[1] for row in csv.reader(io.StringIO(shown))] == ["job", long, "K"]
    code, shown, _ = rowboat("metric", "quarters", "--year", "2020", "--format", "csv")
    assert (code, shown) == (0, "department,job,Q1,Q2,Q3,Q4\r\n")


def test_the_list_on_the_line() -> None:
    code, shown, _ = rowboat("metric")
    assert code == 0
    assert "quarters: Hires by quarter\n" in shown
    assert "  year: The year of the hires. (default: 2021)\n" in shown
    _, shown, _ = rowboat("metric", "--json")
    assert json.loads(shown) == json.loads(
        json.dumps([each.document() for each in definitions.all_metrics().values()])
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 1, "there is no metric nothing\nHINT: `rowboat metric` lists them\n"),
        (["quarters", "--year", "0"], 1,
         "year is '0' and must be at least 1\nHINT: correct its value\n"),
        (["quarters", "--set", "yeer=1"], 1,
         "the metric quarters has no parameter 'yeer'\nHINT: it takes year\n"),
        (["quarters", "--set", "year"], 2, "Error: write --set NAME=VALUE\n"),
    ],
)  # fmt: skip
def test_refusals_on_the_line(boat: Boat, arguments: list[str], code: int, said: str) -> None:
    found, shown, complaint = rowboat("metric", *arguments)
    assert (found, shown) == (code, "")
    assert complaint.endswith(said)


def test_a_file_that_cannot_be_read_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.application import create_app

    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "bad.sql").write_text("select 1")
    monkeypatch.setattr(definitions, "SQL_FOLDER", tmp_path)
    definitions.all_metrics.cache_clear()
    with pytest.raises(
        definitions.SqlFileError, match=r"^sql/metrics/bad.sql:1: has no '-- title: …'"
    ):
        create_app()
    definitions.all_metrics.cache_clear()
