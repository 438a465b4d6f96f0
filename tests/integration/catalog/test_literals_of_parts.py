"""Cells of types that are made of others: their parts are judged as cells of their own are."""

from collections.abc import Callable

from tests.conftest import Boat
from tests.support.literal_cells import Cells, check_cells, each_kind

TYPES: list[tuple[str, Cells, Cells]] = [
    (
        "text[]",
        {'{a,"b c",NULL}': '{a,"b c",NULL}', "{}": "{}", "{yesterday}": "{yesterday}"},
        {"{a": "'{a' is no value of type text[]", "a,b": "'a,b' is no value of type text[]",
         "": ""},
    ),
    (
        "varchar(2)[]",
        {"{ab,NULL}": "{ab,NULL}"},
        {'{"ab "}': "'{\"ab \"}' holds 'ab ', which is longer than character varying(2) holds"},
    ),
    (
        "date[]",
        {"{2024-02-29}": "{2024-02-29}", "{{2024-02-29},{NULL}}": "{{2024-02-29},{NULL}}",
         '[0:0]={"2024-02-29 00:00"}': "[0:0]={2024-02-29}"},
        {"{yesterday}": "'{yesterday}' holds 'yesterday', which is not an ISO 8601 date",
         "{2024-02-29,infinity}":
             "'{2024-02-29,infinity}' holds 'infinity', which is not an ISO 8601 date",
         "{{2024-02-29},{now}}":
             "'{{2024-02-29},{now}}' holds 'now', which is not an ISO 8601 date",
         '{"2024-02-29 12:00"}': "'{\"2024-02-29 12:00\"}' holds '2024-02-29 12:00', which"
             " has a time of day: write only the day",
         "{20240229}": "'{20240229}' holds '20240229', which is not an ISO 8601 date",
         "{2023-02-29}": "'{2023-02-29}' is no value of type date[]"},
    ),
    (
        "numeric(5,2)[]",
        {"{1,2.50,NULL}": "{1.00,2.50,NULL}", "{}": "{}"},
        {"{1.005}": "'{1.005}' holds '1.005', which is more digits than numeric(5,2) holds",
         "{1,{2}}": "'{1,{2}}' is no value of type numeric(5,2)[]",
         "{NaN}": "'{NaN}' holds 'NaN', which is not a number",
         "{0x1F}": "'{0x1F}' holds '0x1F', which is not a number"},
    ),
    (
        "integer[]",
        {"{1,-2, 3 ,NULL}": "{1,-2,3,NULL}", '{" 4"}': "{4}"},
        {"{0x1F}": "'{0x1F}' holds '0x1F', which is not an integer",
         "{1_000}": "'{1_000}' holds '1_000', which is not an integer"},
    ),
    (
        "timestamp(0)[]",
        {'{"2021-12-31 23:59:59"}': '{"2021-12-31 23:59:59"}'},
        {"{2021-12-31T23:59:59.9}": "'{2021-12-31T23:59:59.9}' holds '2021-12-31T23:59:59.9',"
             " which is more digits than timestamp(0) without time zone holds",
         "{2021-12-31T24:00}": "'{2021-12-31T24:00}' holds '2021-12-31T24:00',"
             " which has hour 24: write 00:00 of the next day"},
    ),
    (
        "daterange",
        {"[2021-01-01,2021-01-31]": "[2021-01-01,2021-02-01)", "empty": "empty", "(,)": "(,)",
         '["2021-01-01",)': "[2021-01-01,)", " EMPTY ": "empty"},
        {"[today,infinity)": "'[today,infinity)' holds 'today', which is not an ISO 8601 date",
         "[2021-01-01,infinity)":
             "'[2021-01-01,infinity)' holds 'infinity', which is not an ISO 8601 date",
         '["now",)': "'[\"now\",)' holds 'now', which is not an ISO 8601 date",
         't"oday",': "'t\"oday\",' is no value of type daterange",
         '[to"day",)': "'[to\"day\",)' is no value of type daterange"},
    ),
    (
        "datemultirange",
        {"{}": "{}", "{[2021-01-01,2021-01-03),[2021-02-01,)}":
             "{[2021-01-01,2021-01-03),[2021-02-01,)}"},
        {"{[2021-01-01,today)}":
             "'{[2021-01-01,today)}' holds 'today', which is not an ISO 8601 date",
         "{[2021-01-01,2021-01-03),[tomorrow,)}": "'{[2021-01-01,2021-01-03),[tomorrow,)}'"
             " holds 'tomorrow', which is not an ISO 8601 date"},
    ),
    (
        "tstzrange",
        {'["2021-01-01 00:00:00+00",)': '["2021-01-01 00:00:00+00",)'},
        {"[now,)": "'[now,)' holds 'now', which is not an ISO 8601 timestamp",
         "[2021-12-31T23:59:60Z,)": "'[2021-12-31T23:59:60Z,)' holds '2021-12-31T23:59:60Z',"
             " which has second 60: write second 59 or the next minute"},
    ),
    (
        "int4range",
        {"[1,3]": "[1,4)", "[ 1 , 3 ]": "[1,4)"},
        {"[3,1]": "'[3,1]' is no value of type int4range",
         "[0x1F,)": "'[0x1F,)' holds '0x1F', which is not an integer"},
    ),
    (
        "s.pair",
        {"(2021-01-01,1.50,now)": "(2021-01-01,1.50,now)", "(,,)": "(,,)",
         "( 2021-01-01 , 1.5 , x )": '(2021-01-01,1.50," x ")',
         '("2021-01-01","1.5","a ""b"" \\\\")': '(2021-01-01,1.50,"a ""b"" \\\\")'},
        {"(yesterday,,)": "'(yesterday,,)' holds 'yesterday', which is not an ISO 8601 date",
         "(,1.005,)": "'(,1.005,)' holds '1.005', which is more digits than numeric(6,2) holds",
         "(,,,ab)": "'(,,,ab)' is no value of type s.pair",
         '(,"1.005",a)': "'(,\"1.005\",a)' holds '1.005', which is more digits"
             " than numeric(6,2) holds",
         '(,1.00"5",a)': "'(,1.00\"5\",a)' is no value of type s.pair",
         "(,1.00\\5,a)": "'(,1.00\\5,a)' is no value of type s.pair"},
    ),
    (
        "s.pair[]",
        {'{"(2021-01-01,1.50,\\"a,b\\")"}': '{"(2021-01-01,1.50,\\"a,b\\")"}'},
        {'{"(today,,)"}': "'{\"(today,,)\"}' holds '(today,,)', which holds 'today', which"
             " is not an ISO 8601 date"},
    ),
    (
        "s.nest",
        {'("(2021-01-01,,)","{2021-01-01}")': '("(2021-01-01,,)",{2021-01-01})'},
        {'("(2021-01-01,,)",{epoch})': "'(\"(2021-01-01,,)\",{epoch})' holds '{epoch}', which"
             " holds 'epoch', which is not an ISO 8601 date",
         '("(,""1.005"",)",)': "'(\"(,\"\"1.005\"\",)\",)' holds '(,\"1.005\",)', which holds"
             " '1.005', which is more digits than numeric(6,2) holds"},
    ),
    (
        "s.day",
        {"2024-02-29": "2024-02-29"},
        {"yesterday": "'yesterday' is not an ISO 8601 date",
         "2024-02-30": "'2024-02-30' is no value of type s.day"},
    ),
    (
        "s.price",
        {"1.50": "1.50"},
        {"1.005": "'1.005' is no value of type s.price", "NaN": "'NaN' is not a number",
         "-1": "'-1' is no value of type s.price"},
    ),
    (
        "s.days",
        {"{2024-02-29}": "{2024-02-29}"},
        {"{yesterday}": "'{yesterday}' holds 'yesterday', which is not an ISO 8601 date"},
    ),
    (
        "s.spans",
        {"{[1.50,2)}": "{[1.50,2.00)}"},
        {"{[1.005,2)}": "'{[1.005,2)}' holds '1.005', which is no value of type s.price"},
    ),
]  # fmt: skip


@each_kind(TYPES)
def test_literals(
    boat: Boat, declare: Callable[[str], None], kind: str, good: Cells, bad: Cells
) -> None:
    check_cells(boat, declare, kind, good, bad)
