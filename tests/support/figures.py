"""The repository's metrics, rows that they count, and writes that change them."""

from collections.abc import Iterator
from typing import Any

from rowboat.database.connections import Connection, transaction
from rowboat.metrics.definitions import Metric, find_metric
from rowboat.metrics.figures import (
    MetricFigures,
    begin_moment,
    compute_figures,
)
from tests.conftest import Boat

HIRES = "hired_employees.hired_employees"
QUARTERS, DEPARTMENTS = find_metric("quarters"), find_metric("departments")
BOTH = [QUARTERS, DEPARTMENTS]


def compute(connection: Connection, wanted: Metric, year: int = 2021) -> MetricFigures:
    """Compute a metric of a year in a transaction of its own."""
    with transaction(connection) as cursor:
        return compute_figures(cursor, wanted, {"year": year}, begin_moment(cursor, wanted))


def rows(boat: Boat, wanted: Metric, year: int = 2021) -> list[tuple[Any, ...]]:
    """Return the rows of a metric of a year, as the API's role sees them."""
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


def plan(boat: Boat, wanted: Metric) -> Iterator[dict[str, Any]]:
    """Yield the nodes of the plan of a metric."""
    with transaction(boat.connect("api")) as cursor:
        cursor.execute("explain (format json, verbose) " + wanted.statement, wanted.judge({}))
        [[[top]]] = cursor.fetchall()
    nodes = [top["Plan"]]
    while nodes:
        yield (node := nodes.pop())
        nodes += node.get("Plans", [])


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
