"""Cells of every type: what is stored, and the exact words for what is refused."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.support.loading import in_csv, loaded_counts, reasons

Declare = Callable[[str], None]
TYPES: list[tuple[str, dict[str, str], dict[str, str]]] = [
    (
        "smallint",
        {"-32768": "-32768", "0": "0", "007": "7"},
        {"32768": "'32768' is out of the range of smallint", "1.5": "'1.5' is not an integer",
         "0x1F": "'0x1F' is not an integer", "": "'' is not an integer"},
    ),
    (
        "bigint",
        {"9223372036854775807": "9223372036854775807"},
        {"9223372036854775808": "'9223372036854775808' is out of the range of bigint",
         "1_0": "'1_0' is not an integer", "٣": "'٣' is not an integer"},
    ),
    (
        "numeric(12,2)",
        {"1": "1.00", "-1.50": "-1.50", "1.500": "1.50", "9999999999.99": "9999999999.99",
         "1e3": "1000.00"},
        {"1.005": "'1.005' is more digits than numeric(12,2) holds",
         "10000000000": "'10000000000' is more digits than numeric(12,2) holds",
         "NaN": "'NaN' is not a number", "Infinity": "'Infinity' is not a number",
         "1,5": "'1,5' is not a number", ".5": "'.5' is not a number", "5.": "'5.' is not a number",
         "+1": "'+1' is not a number", "0x1F": "'0x1F' is not a number",
         "1_0": "'1_0' is not a number", " 1": "' 1' is not a number"},
    ),
    (
        "numeric(3,-2)",
        {"12300": "12300", "99900": "99900"},
        {"12345": "'12345' is more digits than numeric(3,-2) holds"},
    ),
    ("numeric", {"1.500": "1.500", "1e-5": "0.00001"}, {"NaN": "'NaN' is not a number"}),
    (
        "real",
        {"1.5": "1.5"},
        {"1e39": "'1e39' is out of the range of real", "nan": "'nan' is not a number"},
    ),
    (
        "double precision",
        {"1.5": "1.5", "-2E-3": "-0.002", "0.1": "0.1"},
        {"1e999": "'1e999' is out of the range of double precision",
         "1e-999": "'1e-999' is out of the range of double precision",
         "Infinity": "'Infinity' is not a number", "one": "'one' is not a number"},
    ),
    (
        "date",
        {"2024-02-29": "2024-02-29", "0001-01-01": "0001-01-01"},
        {"2023-02-29": "'2023-02-29' is not a day of the calendar",
         "2023-13-01": "'2023-13-01' is not a day of the calendar",
         "yesterday": "'yesterday' is not an ISO 8601 date",
         "20230101": "'20230101' is not an ISO 8601 date",
         "2023-01-01T00:00:00Z": "'2023-01-01T00:00:00Z' is not an ISO 8601 date",
         "2023-1-1": "'2023-1-1' is not an ISO 8601 date",
         "0044-03-15 BC": "'0044-03-15 BC' is not an ISO 8601 date",
         "infinity": "'infinity' is not an ISO 8601 date"},
    ),
    (
        "time",
        {"23:59": "23:59:00", "01:02:03.5": "01:02:03.5"},
        {"25:00": "'25:00' is not a time of day", "1:00": "'1:00' is not an ISO 8601 time of day",
         "now": "'now' is not an ISO 8601 time of day",
         "04:05 PM": "'04:05 PM' is not an ISO 8601 time of day"},
    ),
    (
        "timestamp",
        {"2023-01-02T03:04:05": "2023-01-02 03:04:05", "2023-01-02": "2023-01-02 00:00:00",
         "2023-01-02 03:04:05.123456": "2023-01-02 03:04:05.123456"},
        {"2023-01-02T03:04:05Z":
             "'2023-01-02T03:04:05Z' is not an ISO 8601 timestamp without an offset",
         "2023-02-30T00:00": "'2023-02-30T00:00' is not a day of the calendar",
         "today": "'today' is not an ISO 8601 timestamp without an offset"},
    ),
    (
        "timestamptz",
        {"2023-01-02T03:04:05+02:00": "2023-01-02 01:04:05+00",
         "2023-01-02 03:04": "2023-01-02 03:04:00+00"},
        {"tomorrow": "'tomorrow' is not an ISO 8601 timestamp",
         "2023-01-02T03:04:05 Europe/Madrid":
             "'2023-01-02T03:04:05 Europe/Madrid' is not an ISO 8601 timestamp"},
    ),
    (
        "boolean",
        {"true": "true", "F": "false", "False": "false", "t": "true"},
        {"yes": "'yes' is not true or false", "1": "'1' is not true or false",
         "off": "'off' is not true or false"},
    ),
    (
        "uuid",
        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"a0eebc999c0b4ef8bb6d6bb9bd380a11": "'a0eebc999c0b4ef8bb6d6bb9bd380a11' is not a UUID",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}":
             "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}' is not a UUID",
         "x": "'x' is not a UUID"},
    ),
    (
        "jsonb",
        {'{"a": [1, "50%"]}': '{"a": [1, "50%"]}', "null": "null", '"x"': '"x"'},
        {"{a}": "'{a}' is no value of type jsonb", "": "'' is no value of type jsonb",
         '{"a": "\\u0000"}': "'{\"a\": \"\\u0000\"}' is no value of type jsonb"},
    ),
    (
        "bytea",
        {"\\xDEad": "\\xdead", "\\x": "\\x"},
        {"dead": "'dead' is not bytes in hexadecimal after \\x",
         "\\xdea": "'\\xdea' is not bytes in hexadecimal after \\x"},
    ),
    (
        's."Mood of {x} at 5%"',
        {"calm": "calm", "50%": "50%", "{odd}": "{odd}", "it's": "it's"},
        {"Calm": "'Calm' is not one of calm, 50%, {odd}, it's",
         "": "'' is not one of calm, 50%, {odd}, it's"},
    ),
    (
        "s.share",
        {"0": "0.0", "99.9": "99.9"},
        {"100.1": "'100.1' is no value of type s.share",
         "0.05": "'0.05' is no value of type s.share", "x": "'x' is not a number"},
    ),
    (
        "s.code",
        {"AB": "AB"},
        {"ab": "'ab' is no value of type s.code", "": "'' is no value of type s.code"},
    ),
    (
        "varchar(5)",
        {"12345": "12345", "é🚣é🚣é": "é🚣é🚣é", "": ""},
        {"123456": "'123456' is longer than character varying(5) holds",
         "12345 ": "'12345 ' is longer than character varying(5) holds"},
    ),
    ("varchar", {"": "", "x" * 100: "x" * 100}, {}),
    (
        "char(3)",
        {"abc": "abc", "a": "a"},
        {"abcd": "'abcd' is longer than character(3) holds"},
    ),
    (
        "text[]",
        {'{a,"b c",NULL}': '{a,"b c",NULL}', "{}": "{}"},
        {"{a": "'{a' is no value of type text[]", "a,b": "'a,b' is no value of type text[]",
         "": "'' is no value of type text[]"},
    ),
    (
        "inet",
        {"10.0.0.1": "10.0.0.1/32", "::1/64": "::1/64"},
        {"10.0.0.256": "'10.0.0.256' is no value of type inet"},
    ),
    (
        "interval",
        {"P1DT2H": "P1DT2H"},
        {"a while": "'a while' is no value of type interval"},
    ),
    ("int4range", {"[1,3]": "[1,4)"}, {"[3,1]": "'[3,1]' is no value of type int4range"}),
]  # fmt: skip
TYPES_SQL = """
create schema s;
create type s."Mood of {x} at 5%" as enum ('calm', '50%', '{odd}', 'it''s');
create domain s.share as numeric(4,1) check (value between 0 and 100);
create domain s.code as text check (value ~ '^[A-Z]{2}$');
"""


@pytest.mark.parametrize(("kind", "good", "bad"), TYPES, ids=lambda each: str(each)[:20])
def test_literals(
    boat: Boat, declare: Declare, kind: str, good: dict[str, str], bad: dict[str, str]
) -> None:
    declare(f"{TYPES_SQL} create table s.t (id integer primary key, v {kind} not null)")
    cells = [*good, *bad]
    boat.write("t.csv", in_csv([("id", "v"), *((str(n), cell) for n, cell in enumerate(cells))]))
    report = boat.ingest()["t.csv"]
    stored = dict(boat.query("set intervalstyle = iso_8601; select id, v::text from s.t"))
    assert stored == dict(enumerate(good.values()))
    expected = {}
    for line, (cell, sentence) in enumerate(bad.items(), 2 + len(good)):
        is_nothing = cell == "" and kind != "s.code"
        expected[line] = ["required: v is empty" if is_nothing else f"type: {sentence}"]
    assert reasons(boat) == expected
    assert loaded_counts(report) == (len(cells), len(good), 0, 0, len(bad))


@pytest.mark.parametrize("kind", [kind for kind, _, _ in TYPES])
def test_second_look_finds_equal_rows(boat: Boat, declare: Declare, kind: str) -> None:
    """What is in the table equals what the file says, in every type."""
    good = next(good for each, good, _ in TYPES if each == kind)
    declare(f"{TYPES_SQL} create table s.t (id integer primary key, v {kind})")
    rows = [("id", "v"), *((str(n), cell) for n, cell in enumerate(good))]
    boat.write("t.csv", in_csv(rows))
    boat.ingest()
    boat.write("t-2.csv", in_csv(rows))
    assert loaded_counts(boat.ingest()["t-2.csv"]) == (len(rows) - 1, 0, 0, len(rows) - 1, 0)


def test_domain_that_refuses_nothing(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create domain s.share as numeric(4,1) not null;"
        "create table s.t (id integer primary key, v s.share)"
    )
    boat.query("insert into s.t values (4, 1)")
    boat.write("t.csv", "1,\n2,5\n3,x\n4,2\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (4, 1, 1, 0, 2)
    assert reasons(boat) == {1: ["required: v is empty"], 3: ["type: 'x' is not a number"]}
