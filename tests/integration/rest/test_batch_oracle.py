"""Random batches against an oracle that knows the rules of hired employees."""

import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.writing import EMPLOYEES, hire, numbers, rows, send, state, told

TEXT = st.sampled_from(["Ann", "Bo", "", " ", "é", "x\0", None, 5, True, ["a"]])
DATE = st.sampled_from(
    ["2021-01-01T00:00:00Z", "2020-02-29", "2021-02-29", "yesterday", 20210101, None]
)
NUMBER = st.sampled_from(
    [1, 2, "1", "2", 3, "03", 1.0, 1.5, " 2 ", True, "x", None, 2**31, -1, "0x1"]
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(1, 6) | NUMBER, "employee_name": TEXT, "hired_date": DATE,
        "department_id": NUMBER, "job_id": NUMBER, "more": st.just(1),
    },
)  # fmt: skip
GOOD = st.builds(
    lambda n, **more: hire(n, **more),
    st.integers(1, 8),
    employee_name=st.sampled_from(["Ann", "Bo", "é"]),
    department_id=st.sampled_from([1, 2, "2"]),
)


def right(name: str, value: Any, fault: Callable[[str], None]) -> Any:
    """Return a value as the table will have it; or tell what is wrong with it."""
    if value is None:
        return fault("required")
    if name == "employee_name":
        if not isinstance(value, str):
            return fault("type")
        if "\0" in value:
            return fault("encoding")
        return value if value.strip() else fault("check")
    if name == "hired_date":
        known = {"2021-01-01T00:00:00Z": "2021-01-01", "2020-02-29": "2020-02-29"}
        return known.get(value, "") + "T00:00:00+00:00" if value in known else fault("type")
    text = str(value).strip()
    text = text.removesuffix(".0")
    is_whole = type(value) in (int, str, float) and text.lstrip("-").isdigit()
    if not is_whole or int(text) >= 2**31:
        return fault("type")
    if name != "id" and int(text) not in ((1, 2) if name == "department_id" else (1,)):
        return fault("reference")
    return int(text)


def oracle(
    given_: list[Any], table: dict[int, Any], on_conflict: str
) -> tuple[dict[int, Any], dict[int, set[str]], list[int]]:
    """Return the table as it will be, the rules that each refused row breaks, and the counts."""
    after, wrong, counts, seen = dict(table), dict[int, set[str]](), [0, 0, 0], set[int]()
    for n, each in enumerate(given_):
        rules = set[str]()
        fields = {
            name: right(name, each.get(name), rules.add)
            for name in ("id", "employee_name", "hired_date", "department_id", "job_id")
        }
        if "more" in each:
            rules.add("shape")
        key = fields["id"]
        if key is not None and (key in seen or (on_conflict == "error" and key in table)):
            rules.add("duplicate")
        if rules:
            wrong[n] = rules
            continue
        seen.add(key)
        if key not in table:
            counts[0] += 1
        elif table[key] == fields or on_conflict == "ignore":
            counts[2] += 1
            continue
        else:
            counts[1] += 1
        after[key] = fields
    return after, wrong, counts


def table_of(boat: Boat) -> dict[int, Any]:
    return {each["id"]: each for each in rows(boat, EMPLOYEES)}


@effort(
    max_examples=tries(25, 80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(GOOD | FIELDS, min_size=1, max_size=10),
    st.sampled_from(["error", "update", "ignore"]),
    st.sampled_from(["partial", "atomic"]),
)
def test_oracle(
    boat: Boat, client: FlaskClient, given_: list[Any], on_conflict: str, mode: str
) -> None:
    """Whatever is sent: what goes in, what is refused and why, and what is said of it agree."""
    if not boat.departments():
        boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b')")
        boat.query("insert into hired_employees.jobs values (1, 'j')")
    given_ = [{"id": None} | each for each in given_]  # an id that is left out is given: no oracle
    before = table_of(boat)
    after, wrong, counts = oracle(given_, before, on_conflict)
    if mode == "atomic" and wrong:
        after, counts = before, [0, 0, 0]
    answer = send(client, given_, f"?on_conflict={on_conflict}&mode={mode}")
    assert numbers(answer)[1:] == (*counts, len(wrong))
    assert answer.status_code == (422 if not sum(counts) else 207 if wrong else 201)
    rules: dict[int, set[str]] = {}
    for row, _, rule, _ in told(answer):
        rules.setdefault(row, set()).add(rule)
    assert rules == wrong
    assert table_of(boat) == after
    kept = boat.query(
        "select line, raw, reasons from ingest_status.rejected_rows where source_name = %s"
        " order by line",
        (answer.json["request"],),
    )
    assert [(line, json.loads(bytes(raw))) for line, raw, _ in kept] == [
        (n, given_[n]) for n in sorted(wrong)
    ]
    assert {line: {each["rule"] for each in found} for line, _, found in kept} == wrong
    loads = boat.query(
        "select sum(read), sum(inserted), sum(updated), sum(unchanged), sum(rejected)"
        " from ingest_status.loads where source_name = %s",
        (answer.json["request"],),
    )
    assert loads == [numbers(answer)]
    good = [each for n, each in enumerate(given_) if n not in wrong]
    if good:
        send(client, good, "?on_conflict=update")
        settled = state(boat, EMPLOYEES, "rowboat.audit")
        assert numbers(send(client, good, "?on_conflict=update"))[3] == len(good)
        assert state(boat, EMPLOYEES, "rowboat.audit") == settled
