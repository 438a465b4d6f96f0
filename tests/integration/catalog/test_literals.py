"""Cells of every type: what is stored, and the exact words for what is refused."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.support.literal_cells import Cells, check_cells, each_kind
from tests.support.loading import loaded_counts, reasons

TYPES: list[tuple[str, Cells, Cells]] = [
    (
        "smallint",
        {"-32768": "-32768", "0": "0", "007": "7", "8.0": "8", "52.00": "52", "8.": "8", "+4": "4",
         "-0": "0", " 12": "12", "12\t ": "12", "\u00a012\u00a0": "12", " -8.0 ": "-8",
         "+32767.000": "32767"},
        {"32768": "'32768' is out of the range of smallint",
         "32768.0": "'32768.0' is not an integer", "1.5": "'1.5' is not an integer",
         "8.01": "'8.01' is not an integer", "8.0.0": "'8.0.0' is not an integer",
         ".0": "'.0' is not an integer", "8,0": "'8,0' is not an integer",
         "1 2": "'1 2' is not an integer", "+-4": "'+-4' is not an integer",
         "1e3": "'1e3' is not an integer", "true": "'true' is not an integer",
         "0x1F": "'0x1F' is not an integer", "": "", "   ": "", "\u00a0\t": ""},
    ),
    (
        "bigint",
        {"9223372036854775807": "9223372036854775807", "9223372036854775807.0":
             "9223372036854775807"},
        {"9223372036854775808": "'9223372036854775808' is out of the range of bigint",
         "1_0": "'1_0' is not an integer", "٣": "'٣' is not an integer",
         "9007199254740993.5": "'9007199254740993.5' is not an integer"},
    ),
    (
        "numeric(12,2)",
        {"1": "1.00", "-1.50": "-1.50", "1.500": "1.50", "9999999999.99": "9999999999.99",
         "1e3": "1000.00", ".5": "0.50", "-.5": "-0.50", "5.": "5.00", "+4.00": "4.00",
         " 1": "1.00", "5.3     ": "5.30"},
        {"1.005": "'1.005' is more digits than numeric(12,2) holds",
         "10000000000": "'10000000000' is more digits than numeric(12,2) holds",
         "NaN": "'NaN' is not a number", "Infinity": "'Infinity' is not a number",
         "1,5": "'1,5' is not a number", ".": "'.' is not a number",
         "1 000": "'1 000' is not a number",
         "0x1F": "'0x1F' is not a number", "0b1": "'0b1' is not a number",
         "1_0": "'1_0' is not a number", "$1": "'$1' is not a number",
         "- 1": "'- 1' is not a number",
         "  ": ""},
    ),
    (
        "numeric(3,-2)",
        {"12300": "12300", "99900": "99900"},
        {"12345": "'12345' is more digits than numeric(3,-2) holds"},
    ),
    (
        "numeric",
        {"1.500": "1.500", "1e-5": "0.00001"},
        {"NaN": "'NaN' is not a number",
         "1e-20000": "'1e-20000' is more digits than numeric holds"},
    ),
    (
        "real",
        {"1.5": "1.5", "0.1": "0.1", "3.14159265358979": "3.1415927", "16777216": "1.6777216e+07",
         "67108872": "6.710887e+07", "16777218.0": "1.6777218e+07", "1e30": "1e+30"},
        {"1e39": "'1e39' is out of the range of real", "nan": "'nan' is not a number",
         "1e-60": "'1e-60' is out of the range of real",
         "16777217": "'16777217' is more digits than real holds",
         "16777217.0": "'16777217.0' is more digits than real holds",
         "-123456789": "'-123456789' is more digits than real holds",
         "12345678901234567890": "'12345678901234567890' is more digits than real holds"},
    ),
    (
        "double precision",
        {"1.5": "1.5", "-2E-3": "-0.002", "0.1": "0.1", "0.10000000000000001": "0.1",
         "9007199254740992": "9.007199254740992e+15", "36028797018963968": "3.602879701896397e+16"},
        {"1e999": "'1e999' is out of the range of double precision",
         "1e-999": "'1e-999' is out of the range of double precision",
         "9007199254740993": "'9007199254740993' is more digits than double precision holds",
         "12345678901234567890":
             "'12345678901234567890' is more digits than double precision holds",
         "Infinity": "'Infinity' is not a number", "one": "'one' is not a number"},
    ),
    (
        "money",
        {"1": "$1.00", "-1.50": "-$1.50", "1.500": "$1.50", "+4": "$4.00", ".5": "$0.50"},
        {"1.005": "'1.005' is more digits than money holds", "$1.00": "'$1.00' is not a number",
         "1,000": "'1,000' is not a number", "(1)": "'(1)' is not a number",
         "1e3": "'1e3' is not a number", "99999999999999999999":
             "'99999999999999999999' is out of the range of money"},
    ),
    (
        "oid",
        {"0": "0", "4294967295": "4294967295", " 7": "7"},
        {"-1": "'-1' is not an unsigned integer", "010": "'010' is not an unsigned integer",
         "4294967296": "'4294967296' is out of the range of oid",
         "0x1F": "'0x1F' is not an unsigned integer"},
    ),
    (
        "boolean",
        {"true": "true", "F": "false", "False": "false", "t": "true", "yes": "true", "1": "true",
         "off": "false", "0": "false", "Y": "true", "N": "false", "no": "false", "on": "true",
         "TRUE": "true", "tRuE": "true", " n ": "false", "\u00a01": "true"},
        {"2": "'2' is not true or false", "maybe": "'maybe' is not true or false",
         "01": "'01' is not true or false", "1.0": "'1.0' is not true or false",
         "o": "'o' is not true or false", "-1": "'-1' is not true or false", "  ": ""},
    ),
    (
        "uuid",
        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
         " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"a0eebc999c0b4ef8bb6d6bb9bd380a11": "'a0eebc999c0b4ef8bb6d6bb9bd380a11' is not a UUID",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}":
             "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}' is not a UUID",
         "x": "'x' is not a UUID"},
    ),
    (
        "jsonb",
        {'{"a": [1, "50%"]}': '{"a": [1, "50%"]}', "null": "null", '"x"': '"x"'},
        {"{a}": "'{a}' is no value of type jsonb", "": "", " ": "",
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
        {"calm": "calm", "50%": "50%", "{odd}": "{odd}", "it's": "it's", " calm": "calm"},
        {"Calm": "'Calm' is not one of calm, 50%, {odd}, it's", "": ""},
    ),
    (
        "s.share",
        {"0": "0.0", "99.9": "99.9", " 5": "5.0"},
        {"100.1": "'100.1' is no value of type s.share",
         "0.05": "'0.05' is no value of type s.share", "x": "'x' is not a number"},
    ),
    (
        "s.code",
        {"AB": "AB"},
        {"ab": "'ab' is no value of type s.code", "": "'' is no value of type s.code",
         "AB ": "'AB ' is no value of type s.code"},
    ),
    (
        "varchar(5)",
        {"12345": "12345", "é🚣é🚣é": "é🚣é🚣é", "": "", " 1 ": " 1 ", "  ": "  "},
        {"123456": "'123456' is longer than character varying(5) holds",
         "12345 ": "'12345 ' is longer than character varying(5) holds"},
    ),
    ("varchar", {"": "", "x" * 100: "x" * 100, " x ": " x "}, {}),
    (
        "char(3)",
        {"abc": "abc", "a": "a"},
        {"abcd": "'abcd' is longer than character(3) holds"},
    ),
    (
        "name",
        {"x" * 63: "x" * 63, "": "", " x": " x"},
        {"y" * 64: f"'{'y' * 64}' is longer than name holds",
         "é" * 32: f"'{'é' * 32}' is longer than name holds"},
    ),
    (
        '"char"',
        {"a": "a", "\\351": "\\351", " ": " "},
        {"ab": "'ab' is longer than \"char\" holds", "é": "'é' is longer than \"char\" holds",
         "  ": "'  ' is longer than \"char\" holds"},
    ),
    (
        "bit(3)",
        {"101": "101", " 101": "101"},
        {"1010": "'1010' is no value of type bit(3)", "1": "'1' is no value of type bit(3)"},
    ),
    (
        "inet",
        {"10.0.0.1": "10.0.0.1/32", "::1/64": "::1/64", " 10.0.0.1 ": "10.0.0.1/32"},
        {"10.0.0.256": "'10.0.0.256' is no value of type inet"},
    ),
    (
        "cidr",
        {"10.1.0.0/16": "10.1.0.0/16", "10.1/16": "10.1.0.0/16", "10.0.0.1": "10.0.0.1/32",
         "::/64": "::/64"},
        {"10.1.0.1/16": "'10.1.0.1/16' is no value of type cidr",
         "10": "'10' is not a network and its mask",
         "192.168.1": "'192.168.1' is not a network and its mask",
         "0x0a": "'0x0a' is not a network and its mask"},
    ),
]  # fmt: skip


@each_kind(TYPES)
def test_literals(
    boat: Boat, declare: Callable[[str], None], kind: str, good: Cells, bad: Cells
) -> None:
    check_cells(boat, declare, kind, good, bad)


def test_domain_that_refuses_nothing(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        "create schema s; create domain s.share as numeric(4,1) not null;"
        "create table s.t (id integer primary key, v s.share)"
    )
    boat.query("insert into s.t values (4, 1)")
    boat.write("t.csv", "1,\n2,5\n3,x\n4,2\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (4, 1, 1, 0, 2)
    assert reasons(boat) == {1: ["required: v is empty"], 3: ["type: 'x' is not a number"]}


def test_an_empty_label(boat: Boat, declare: Callable[[str], None]) -> None:
    """What is in quotes is the label, as in a column of text; what is not is nothing."""
    declare(
        "create schema s; create type s.mood as enum ('calm', '');"
        "create table s.t (id integer primary key, v s.mood, w s.mood not null)"
    )
    boat.write("t.csv", '1,"",""\n2,,calm\n3,calm,\n4,  ,calm\n5,," "\n')
    boat.ingest()
    assert boat.query("select id, v::text, w::text from s.t order by id") == [
        (1, "", ""), (2, None, "calm"), (4, None, "calm"),
    ]  # fmt: skip
    assert reasons(boat) == {3: ["required: w is empty"], 5: ["required: w is empty"]}


@pytest.mark.parametrize(
    ("media", "body", "sentence"),
    [
        ("text/csv", "id,department\n 7.0 ,a\n  ,b\n", "id is empty"),
        ("application/json", '[{"id": 7.0, "department": "a"}, {"id": " ", "department": "b"}]',
         "' ' is not an integer"),
        ("application/json", '[{"id": " +7", "department": "a"}, {"id": "", "department": "b"}]',
         "'' is not an integer"),
    ],
)  # fmt: skip
def test_blanks_of_a_request(client: FlaskClient, media: str, body: str, sentence: str) -> None:
    """In CSV they are nothing, as in files; JSON has null."""
    answer = client.post("/api/departments", data=body, content_type=media).get_json()
    assert answer["tables"]["hired_employees.departments"]["ids"] == [7, None]
    assert [each["message"] for each in answer["errors"]] == [sentence]
