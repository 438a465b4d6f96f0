"""A new dataset is one SQL file and a CSV: every type, key and rule of a domain of its own."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rowboat.ingest.reports import FileReport
from tests.conftest import Boat

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


def counts(report: FileReport) -> tuple[int, int, int, int, int]:
    """Return read, inserted, updated, unchanged, rejected; they must add up."""
    assert (report.state, report.error) == ("loaded", None)
    found = report.report
    found.check()
    return found.read, found.inserted, found.updated, found.unchanged, found.rejected


def reasons(boat: Boat) -> dict[int, list[str]]:
    """Return line → reasons of the quarantine."""
    return {line: why for line, _, why in boat.rejects()}


def in_csv(rows: Sequence[Sequence[str]]) -> str:
    """Write every cell in quotes: an empty one is an empty text, not nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


# Literals: type, what is stored for a cell, why other cells are refused

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
    assert counts(report) == (len(cells), len(good), 0, 0, len(bad))


@pytest.mark.parametrize("kind", [kind for kind, _, _ in TYPES])
def test_second_look_finds_equal_rows(boat: Boat, declare: Declare, kind: str) -> None:
    """What is in the table equals what the file says, in every type."""
    good = next(good for each, good, _ in TYPES if each == kind)
    declare(f"{TYPES_SQL} create table s.t (id integer primary key, v {kind})")
    rows = [("id", "v"), *((str(n), cell) for n, cell in enumerate(good))]
    boat.write("t.csv", in_csv(rows))
    boat.ingest()
    boat.write("t-2.csv", in_csv(rows))
    assert counts(boat.ingest()["t-2.csv"]) == (len(rows) - 1, 0, 0, len(rows) - 1, 0)


def test_domain_that_refuses_nothing(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create domain s.share as numeric(4,1) not null;"
        "create table s.t (id integer primary key, v s.share)"
    )
    boat.query("insert into s.t values (4, 1)")
    boat.write("t.csv", "1,\n2,5\n3,x\n4,2\n")
    assert counts(boat.ingest()["t.csv"]) == (4, 1, 1, 0, 2)
    assert reasons(boat) == {1: ["required: v is empty"], 3: ["type: 'x' is not a number"]}


# Keys


def test_composite_key(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.slots"
        " (pier text, at date, boat text, primary key (pier, at));"
        "create table s.bookings (id integer primary key, pier text, at date,"
        " foreign key (pier, at) references s.slots)"
    )
    boat.write(
        "slots.csv",
        "pier,at,boat\nA,2023-01-01,x\nA,2023-01-02,y\nA,2023-01-01,z\nA,,z\nB,soon,z\n",
    )
    boat.write("bookings.csv", "1,A,2023-01-01\n2,A,2023-01-03\n3,,2023-01-03\n4,A,\n")
    reports = boat.ingest()
    assert counts(reports["slots.csv"]) == (5, 2, 0, 0, 3)
    assert counts(reports["bookings.csv"]) == (4, 3, 0, 0, 1)
    assert [(line, why) for line, _, why in boat.rejects()] == [
        (2, ["reference: s.slots has no pier A, at 2023-01-03"]),
        (4, ["duplicate: pier A, at 2023-01-01 stands earlier in this file with other values"]),
        (5, ["required: at is empty"]),
        (6, ["type: 'soon' is not an ISO 8601 date"]),
    ]
    boat.write("slots-2.csv", "boat,at,pier\nX,2023-01-01,A\ny,2023-01-02,A\n")
    assert counts(boat.ingest()["slots-2.csv"]) == (2, 0, 1, 1, 0)


def test_part_of_a_key_by_default(boat: Boat, declare: Declare) -> None:
    """A column that the file leaves out has its default, in keys and references too."""
    declare(
        "create schema s; create table s.ports (name text primary key);"
        "create table s.boats (no integer, port text default 'Home' references s.ports,"
        " primary key (no, port))"
    )
    boat.write("ports.csv", "name\nAway\n")
    boat.write("boats.csv", "no\n1\n1\n")
    assert counts(boat.ingest()["boats.csv"]) == (2, 0, 0, 0, 2)
    assert reasons(boat) == {
        2: ["reference: s.ports has no name Home"],
        3: ["reference: s.ports has no name Home"],
    }
    boat.write("ports.csv", "name\nAway\nHome\n")
    boat.ingest()
    assert boat.query("select no, port from s.boats") == [(1, "Home")]
    assert reasons(boat) == {
        3: ["duplicate: no 1, port Home stands earlier in this file with the same values"]
    }


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_unique_constraint(
    boat: Boat, declare: Declare, setting: Setting, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    declare("create schema s; create table s.u (id integer primary key, code text unique)")
    boat.query("insert into s.u values (1, 'one'), (2, 'two')")
    boat.write("u.csv", "id,code\n3,three\n4,one\n5,three\n1,uno\n6,\n7,\n2,two\n8,eight\n8,acht\n")
    report = boat.ingest()["u.csv"]
    assert counts(report) == (9, 4, 1, 1, 3)
    assert reasons(boat) == {
        3: ["duplicate: code one belongs to another row"],
        4: ["duplicate: code three belongs to another row"],
        10: ["duplicate: id 8 stands earlier in this file with other values"],
    }


def test_unique_constraint_across_chunks_says_the_same(
    boat: Boat, declare: Declare, setting: Setting
) -> None:
    declare("create schema s; create table s.u (id integer primary key, code text unique)")
    content = "id,code\n" + "".join(f"{n},c{n}\n" for n in range(1, 30)) + "30,c3\n3,c99\n"
    boat.write("u.csv", content)
    setting("chunk_bytes", "64")
    assert counts(boat.ingest()["u.csv"]) == (31, 29, 0, 0, 2)
    assert reasons(boat) == {
        31: ["duplicate: code c3 belongs to another row"],
        32: ["duplicate: id 3 stands earlier in this file with other values"],
    }


def test_unique_constraint_with_equal_nulls(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.u"
        " (id integer primary key, code text, unique nulls not distinct (code))"
    )
    boat.write("u.csv", "1,\n2,\n3,x\n")
    assert counts(boat.ingest()["u.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {2: ["duplicate: code (empty) belongs to another row"]}  # fmt: skip


def test_unique_index(boat: Boat, declare: Declare) -> None:
    """What the catalog's constraints do not say is refused in the database's own words."""
    declare(
        "create schema s; create table s.u (id integer primary key, code text);"
        "create unique index code_in_any_case on s.u (lower(code)) where id < 100"
    )
    rows = "".join(f"{n},c{n}\n" for n in range(1, 21))
    boat.write("u.csv", rows + "21,C7\n22,c22\n107,C7\n")
    assert counts(boat.ingest()["u.csv"]) == (23, 22, 0, 0, 1)
    assert reasons(boat) == {
        21: ['check: duplicate key value violates unique constraint "code_in_any_case"']
    }


# References to the table itself

TREE = """
create schema s;
create table s.people (
    id integer primary key, boss integer references s.people, badge text unique
)
"""


def people(boat: Boat) -> list[Any]:
    return boat.query("select id from s.people order by id")


def test_child_before_parent(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "3,2,\n2,1,\n1,,\n4,4,\n")
    assert counts(boat.ingest()["people.csv"]) == (4, 4, 0, 0, 0)
    assert boat.query("select id, boss from s.people order by id") == [
        (1, None), (2, 1), (3, 2), (4, 4),
    ]  # fmt: skip


def test_child_before_parent_across_chunks(boat: Boat, declare: Declare, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    declare(TREE)
    boat.write("people.csv", "".join(f"{n},{n - 1 or ''},\n" for n in range(40, 0, -1)))
    boat.ingest()
    assert people(boat) == list(range(1, 41))
    assert boat.rejects() == []
    assert boat.query("select read, inserted, rejected from ingest_status.ingest_status") == [
        (40, 40, 0)
    ]


def test_refused_parent_refuses_its_descendants(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "1,,\n2,99,\n3,2,\n4,3,\n5,1,\nx,1,\n6,y,\n7,6,\n")
    assert counts(boat.ingest()["people.csv"]) == (8, 2, 0, 0, 6)
    assert people(boat) == [1, 5]
    assert reasons(boat) == {
        2: ["reference: s.people has no id 99"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
        6: ["type: 'x' is not an integer"],
        7: ["type: 'y' is not an integer"],
        8: ["reference: s.people has no id 6"],
    }


def test_ring_of_rows(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "1,3,\n2,1,\n3,2,\n4,5,\n5,4,\n6,6,\n7,5,x\n8,9,\n9,8,\n9,1,\n")
    assert counts(boat.ingest()["people.csv"]) == (10, 9, 0, 0, 1)
    assert reasons(boat) == {10: ["duplicate: id 9 stands earlier in this file with other values"]}


def test_ring_with_a_refused_row(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.query("insert into s.people values (50, null, 'taken')")
    boat.write("people.csv", "1,3,taken\n2,1,\n3,2,\n4,3,\n")
    assert counts(boat.ingest()["people.csv"]) == (4, 0, 0, 0, 4)
    assert people(boat) == [50]
    assert reasons(boat) == {
        1: ["reference: s.people has no id 3", "duplicate: badge taken belongs to another row"],
        2: ["reference: s.people has no id 1"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
    }


def test_parent_refused_as_a_duplicate_refuses_its_children(boat: Boat, declare: Declare) -> None:
    """No row may be left without its parent, whichever rule has refused the parent."""
    declare(TREE)
    boat.write("people.csv", "1,,A\n2,,A\n3,2,\n4,3,\n1,2,\n")
    assert counts(boat.ingest()["people.csv"]) == (5, 1, 0, 0, 4)
    assert people(boat) == [1]
    assert reasons(boat) == {
        2: ["duplicate: badge A belongs to another row"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
        5: ["duplicate: id 1 stands earlier in this file with other values",
            "reference: s.people has no id 2"],
    }  # fmt: skip


def test_parent_refused_by_the_database_refuses_its_children(boat: Boat, declare: Declare) -> None:
    declare(
        TREE
        + """;
        create function s.no_twelve() returns trigger language plpgsql as
            $$ begin if new.id = 12 then raise 'twelve is unlucky'; end if; return new; end $$;
        create trigger no_twelve before insert on s.people
            for each row execute function s.no_twelve();
        """
    )
    boat.write("people.csv", "11,,\n12,11,\n13,12,\n14,11,\n")
    boat.ingest()
    assert people(boat) == [11, 14]
    assert reasons(boat) == {
        2: ["check: twelve is unlucky"],
        3: ["reference: s.people has no id 12"],
    }


# Columns that the database fills

FILLED = """
create schema s;
create table s.parts (
    no integer generated always as identity primary key,
    name text not null,
    price numeric(8,2) not null default 1.5 check (price > 0),
    gross numeric(8,2) generated always as (price * 1.21) stored check (gross < 1000)
)
"""


def test_generated_and_identity_columns(boat: Boat, declare: Declare) -> None:
    declare(FILLED)
    boat.write("parts.csv", "name,price\noar,10\nsail,0\nmast,900\nrope,2\n")
    assert counts(boat.ingest()["parts.csv"]) == (4, 2, 0, 0, 2)
    assert boat.query("select name, gross::text from s.parts order by no") == [
        ("oar", "12.10"), ("rope", "2.42"),
    ]  # fmt: skip
    assert reasons(boat) == {
        3: ["check: breaks the rule parts_price_check: (price > (0)::numeric)"],
        4: ['check: new row for relation "parts" violates check constraint "parts_gross_check"'],
    }


@pytest.mark.parametrize("column", ["no", "gross"])
def test_columns_that_the_database_computes(boat: Boat, declare: Declare, column: str) -> None:
    declare(FILLED)
    boat.write("parts.csv", f"{column},name\n1,oar\n")
    report = boat.ingest()["parts.csv"]
    assert (report.state, report.error, report.hint) == (
        "failed",
        f'the header names "{column}", which the database computes itself',
        "leave that column out of the file",
    )


# Names that need quotes

ODD = """
create schema "Yard 5%";
create table "Yard 5%"."Big {0} Boat's %s" (
    "Hull ""No"" %" integer generated by default as identity primary key,
    "{name}" text not null constraint "50% {x}" check ("{name}" not like '%!%%s' and
        "{name}" <> '{0} {}' and length("{name}") % 7 <> 6),
    "at %(x)s" date,
    "Mother %" integer references "Yard 5%"."Big {0} Boat's %s"
);
comment on column "Yard 5%"."Big {0} Boat's %s"."{name}" is '100 % {sure}';
"""


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_odd_names(boat: Boat, declare: Declare, setting: Setting, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    declare(ODD)
    name = "Big {0} Boat's %s.csv"
    header = ["{name}", 'Hull "No" %', "at %(x)s", "Mother %"]
    rows = [
        ["Kestrel", "7", "2023-01-01", ""],
        ["Heron", "8", "soon", "7"],
        ["a!b%s", "9", "", ""],
        ["{0} {}", "10", "", ""],
        ["sixsix", "11", "", ""],
        ["Egret", "12", "", "99"],
        ["Kestrel", "7", "2023-01-02", ""],
        ["Chick", "13", "", "7"],
    ]
    boat.write(name, in_csv([header, *rows]))
    report = boat.ingest()[name]
    assert report.table == "Yard 5%.Big {0} Boat's %s"
    assert counts(report) == (8, 2, 0, 0, 6)
    broken = "check: breaks the rule 50% {x}: (({name} !~~ '%!%%s'::text)"  # as Postgres prints it
    found = reasons(boat)
    assert [found[line][0].replace('"', "").startswith(broken) for line in (4, 5, 6)] == [True] * 3
    assert {line: why for line, why in found.items() if line not in (4, 5, 6)} == {
        3: ["type: 'soon' is not an ISO 8601 date"],
        7: ['reference: Yard 5%.Big {0} Boat\'s %s has no Hull "No" % 99'],
        8: ['duplicate: Hull "No" % 7 stands earlier in this file with other values'],
    }
    rows[0][0] = "Gull"
    boat.write(name, in_csv([header, rows[0]]))
    again = boat.ingest()[name]
    assert counts(again) == (1, 0, 1, 0, 0)
    assert again.vanished == ["[13]"]
    boat.query('insert into "Yard 5%%"."Big {0} Boat\'s %%s" ("{name}") values (%s)', ["Stork"])
    assert boat.query('select "Hull ""No"" %", "{name}" from "Yard 5%"."Big {0} Boat\'s %s"') == [
        (13, "Chick"), (7, "Gull"), (14, "Stork"),
    ]  # fmt: skip


def test_parents_of_odd_names(boat: Boat, declare: Declare) -> None:
    declare(
        ODD + 'create table "Yard 5%"."Log %{}" ("no %" integer primary key, "boat %" integer'
        ' not null references "Yard 5%"."Big {0} Boat\'s %s")'
    )
    boat.write("Log %{}.csv", "1,7\n2,8\n")
    boat.ingest()
    boat.write("Big {0} Boat's %s.csv", "7,Kestrel,,\n")
    boat.ingest()
    assert boat.query('select "no %" from "Yard 5%"."Log %{}"') == [1]
    assert reasons(boat) == {2: ['reference: Yard 5%.Big {0} Boat\'s %s has no Hull "No" % 8']}


# Rules that cannot be judged in sets

BERTHS = """
create schema s;
create table s.berths (
    id integer primary key, place integer not null, at daterange not null,
    exclude using gist (at with &&) where (place = 1)
)
"""


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_exclusion_constraint(
    boat: Boat, declare: Declare, setting: Setting, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    declare(BERTHS)
    rows = [f'{n},1,"[2023-01-{n:02},2023-01-{n + 1:02})"\n' for n in range(1, 25)]
    rows[10] = '11,1,"[2023-01-03,2023-01-05)"\n'
    rows[20] = '21,2,"[2023-01-03,2023-01-05)"\n'
    boat.write("berths.csv", "".join(rows) + "25,1,soon\n")
    assert counts(boat.ingest()["berths.csv"]) == (25, 23, 0, 0, 2)
    assert reasons(boat) == {
        11: ['check: conflicting key value violates exclusion constraint "berths_at_excl"'],
        25: ["type: 'soon' is no value of type daterange"],
    }
    assert boat.query("select count(*) from s.berths") == [23]


GUARDED = """
create schema s;
create table s.crews (id integer primary key);
create table s.sailors (
    id integer primary key, name text not null, crew integer references s.crews
);
create function s.judge() returns trigger language plpgsql as $$
begin
    if new.name like '%!' then raise exception 'no shouting: % {at} 5%%', new.name; end if;
    return new;
end $$;
create trigger guard before insert or update on s.sailors
    for each row execute function s.judge();
"""


def test_trigger_that_raises(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    names = [f"n{n}" for n in range(1, 31)]
    for n in (1, 15, 16, 30):
        names[n - 1] = "HEY!"
    boat.write("sailors.csv", "".join(f"{n},{name},\n" for n, name in enumerate(names, 1)))
    assert counts(boat.ingest()["sailors.csv"]) == (30, 26, 0, 0, 4)
    assert reasons(boat) == {n: ["check: no shouting: HEY! {at} 5%"] for n in (1, 15, 16, 30)}


def test_trigger_that_raises_for_a_row_that_waited(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    boat.write("sailors.csv", "1,a,5\n2,HEY!,5\n3,c,5\n4,d,6\n")
    boat.ingest()
    boat.write("crews.csv", "5\n")
    assert counts(boat.ingest()["crews.csv"]) == (1, 1, 0, 0, 0)
    assert boat.query("select id from s.sailors order by id") == [1, 3]
    assert reasons(boat) == {
        2: ["check: no shouting: HEY! {at} 5%"],
        4: ["reference: s.crews has no id 6"],
    }
    assert boat.query(
        "select read, inserted, rejected from ingest_status.ingest_status"
        " where file_name = 'sailors.csv'"
    ) == [(4, 2, 2)]


def test_trigger_that_raises_in_a_dry_run(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    boat.write("sailors.csv", "1,a,\n2,HEY!,\n3,c,\n")
    assert counts(boat.ingest(dry_run=True)["sailors.csv"]) == (3, 2, 0, 0, 1)
    assert boat.query("select count(*) from s.sailors") == [0]


def test_trigger_that_raises_under_a_reject_limit(
    boat: Boat, declare: Declare, setting: Setting
) -> None:
    declare(GUARDED)
    setting("reject_limit", "1")
    boat.write("sailors.csv", "1,a,\n2,HEY!,\n3,c,\n")
    assert counts(boat.ingest()["sailors.csv"]) == (3, 2, 0, 0, 1)


@pytest.mark.parametrize(
    ("check", "good", "bad", "sentence"),
    [
        ("v % 5 = 0", "10", "11", "breaks the rule rule: ((v % 5) = 0)"),
        ("v::text like '1%'", "10", "20", "breaks the rule rule: ((v)::text ~~ '1%'::text)"),
        ("v::text !~ '^0{2,}'", "10", None, ""),
        ("v::text ~ '^1{2}0?$'", "110", "10",
         "breaks the rule rule: ((v)::text ~ '^1{2}0?$'::text)"),
        ("100 / v > 1", "10", "0", "division by zero"),
        ("v > 0 and w is not null or v < 5", "6", None, ""),
        ("w % 2 = 0", "1", None, ""),
        ("v + w < 50", "10", "30", "breaks the rule rule: ((v + w) < 50)"),
        ("current_user = 'nobody'", None, "1",
         'new row for relation "t" violates check constraint "rule"'),
    ],
)  # fmt: skip
def test_checks(
    boat: Boat, declare: Declare, check: str, good: str | None, bad: str | None, sentence: str
) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, v integer,"
        f" w integer default 20, constraint rule check ({check}))"
    )
    boat.write("t.csv", "id,v\n" + "".join(f"{n},{v}\n" for n, v in ((1, good), (2, bad)) if v))
    boat.ingest()
    assert boat.query("select v::text from s.t where v is not null") == [good] * bool(good)
    assert [why for _, _, why in boat.rejects()] == [[f"check: {sentence}"]] * bool(bad)


def test_comment_of_a_check_is_its_sentence(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, v integer,"
        " constraint few check (v < 10));"
        "comment on constraint few on s.t is 'v is 10 or more, 50% {too} many'"
    )
    boat.write("t.csv", "1,9\n2,10\n")
    boat.ingest()
    assert reasons(boat) == {2: ["check: v is 10 or more, 50% {too} many"]}


# The catalog itself


def test_catalog(boat: Boat, declare: Declare) -> None:
    declare(
        """
        create schema s;
        create type s.mood as enum ('calm', 'rough');
        create domain s.share as numeric(5,2) not null;
        create table s.a (
            id integer generated always as identity primary key,
            other bigint generated by default as identity,
            mood s.mood default 'calm',
            part s.share,
            name varchar(9) not null unique,
            twice integer generated always as (2 * 2) stored
        );
        comment on table s.a is 'Things.';
        comment on column s.a.mood is 'How it is.';
        create table s.b (id integer primary key, a_id integer references s.a on delete cascade);
        create table s.c (id integer primary key, b_id integer references s.b,
            c_id integer references s.c);
        """
    )
    found = boat.catalog()
    table = found.table("a")
    columns = {
        each.name: (each.type, each.base, each.not_null, each.required, each.settable)
        for each in table.columns
    }
    assert columns == {
        "id": ("integer", "int4", True, False, False),
        "other": ("bigint", "int8", True, False, True),
        "mood": ("s.mood", "mood", False, False, True),
        "part": ("s.share", "numeric", True, True, True),
        "name": ("character varying(9)", "varchar", True, True, True),
        "twice": ("integer", "int4", False, False, False),
    }
    assert table.comment == "Things."
    assert table.by_name["mood"].comment == "How it is."
    assert table.by_name["mood"].labels == ("calm", "rough")
    assert table.by_name["mood"].default == "'calm'::s.mood"
    assert table.by_name["id"].identity == "a"
    assert table.by_name["other"].identity == "d"
    assert table.by_name["other"].sequence == "s.a_other_seq"
    assert table.by_name["twice"].generated
    assert table.key
    assert (table.key.columns, table.serial_key) == (("id",), "id")
    assert [each.columns for each in table.uniques] == [("name",)]
    assert [each.name for each in found.children(table)] == ["b"]
    child = found.table("s.b")
    assert [(key.columns, key.parent, key.parent_columns, key.on_delete)
            for key in child.foreign_keys] == [(("a_id",), "s.a", ("id",), "c")]  # fmt: skip
    assert found.table("c").refers_to_itself
    assert {name: depth for name, depth in found.depths.items() if name.startswith("s.")} == {
        "s.a": 0, "s.b": 1, "s.c": 2,
    }  # fmt: skip


def test_ring_of_tables(boat: Boat, declare: Declare) -> None:
    """A ring is opened at its first table; what waits for the other is judged again."""
    declare(
        """
        create schema s;
        create table s.captains (id integer primary key, boat_id integer);
        create table s.boats (id integer primary key,
            captain_id integer not null references s.captains);
        alter table s.captains add foreign key (boat_id) references s.boats;
        create table s.logs (id integer primary key, boat_id integer references s.boats);
        """
    )
    found = boat.catalog()
    depths = {name: depth for name, depth in found.depths.items() if name.startswith("s.")}
    assert depths["s.logs"] > depths["s.boats"]
    assert depths["s.boats"] != depths["s.captains"]
    boat.write("captains.csv", "1,\n2,10\n3,11\n")
    boat.write("boats.csv", "10,1\n11,2\n")
    boat.write("logs.csv", "100,10\n101,11\n")
    boat.ingest()
    assert boat.query("select id from s.captains order by id") == [1, 2, 3]
    assert boat.query("select id from s.boats order by id") == [10, 11]
    assert boat.query("select id from s.logs order by id") == [100, 101]
    assert boat.rejects() == []


def test_managed_schemas_are_a_setting(boat: Boat, declare: Declare, setting: Setting) -> None:
    declare("create schema s; create table s.a (id integer primary key)")
    assert [table.full_name for table in boat.catalog()] == [
        "hired_employees.departments", "hired_employees.hired_employees", "hired_employees.jobs",
        "s.a",
    ]  # fmt: skip
    setting("schemas", "s")
    assert [table.full_name for table in boat.catalog()] == ["s.a"]


def test_partitioned_table(boat: Boat, declare: Declare) -> None:
    declare(
        """
        create schema s;
        create table s.days (at date primary key, word text) partition by range (at);
        create table s.days_2023 partition of s.days
            for values from ('2023-01-01') to ('2024-01-01');
        """
    )
    assert "s.days_2023" not in {table.full_name for table in boat.catalog()}
    boat.write("days.csv", "2023-05-05,a\n2024-01-01,b\n2023-06-06,c\n")
    assert counts(boat.ingest()["days.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {2: ['check: no partition of relation "days" found for row']}
    boat.write("days-2.csv", "2023-05-05,z\n2023-06-06,c\n")
    assert counts(boat.ingest()["days-2.csv"]) == (2, 0, 1, 1, 0)


def test_reference_that_must_be_full(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.p (a integer, b integer, primary key (a, b));"
        "create table s.t (id integer primary key, a integer, b integer,"
        " foreign key (a, b) references s.p match full)"
    )
    boat.write("p.csv", "1,1\n")
    boat.write("t.csv", "1,1,1\n2,,\n3,1,\n")
    boat.ingest()
    assert boat.query("select id from s.t order by id") == [1, 2]
    assert reasons(boat) == {3: ["reference: a and b are given together or not at all"]}


def test_deferrable_exclusion_constraint(boat: Boat, declare: Declare) -> None:
    """Its check is a trigger of Postgres's own, which must not be kept from firing."""
    declare(
        "create schema s; create table s.p (id integer primary key);"
        "create table s.t (id integer primary key, p integer references s.p, at int4range,"
        " exclude using gist (at with &&) deferrable)"
    )
    boat.write("p.csv", "1\n")
    boat.write("t.csv", '1,1,"[1,3)"\n2,1,"[2,4)"\n3,1,"[5,6)"\n')
    assert counts(boat.ingest()["t.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {
        2: ['check: conflicting key value violates exclusion constraint "t_at_excl"']
    }
