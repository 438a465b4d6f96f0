"""A table with a column of every type, and its rows: every edge value, then others by chance."""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

# Column: its type, values that are always there, what makes others; all as Postgres reads them.
Make = Callable[[random.Random], str]


def integer(bits: int) -> tuple[list[str], Make]:
    edges = [sign * ((1 << n) + more) for n in range(0, bits - 1, 7)
             for sign in (1, -1) for more in (-1, 0, 1)]  # fmt: skip
    most = 2 ** (bits - 1)
    return [*map(str, (*edges, most - 1, -most))], lambda chance: str(
        chance.randint(-most, most - 1) >> chance.randrange(bits)
    )


def decimal(digits: int, scale: int) -> tuple[list[str], Make]:
    most = 10**digits - 1

    def shown(number: int) -> str:
        return f"{number}e-{scale}"

    edges = [0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32769, 255, most, -most]
    return [shown(each) for each in edges if abs(each) <= most], lambda chance: shown(
        chance.randint(-most, most) // 10 ** chance.randrange(digits)
    )


def moment(chance: random.Random) -> str:
    found = datetime(1, 1, 1) + timedelta(days=chance.randrange(3_600_000))
    found += timedelta(microseconds=chance.randrange(86_400_000_000))
    is_before = found.year < 4700 and found.day < 29 and chance.random() < 0.2
    return found.isoformat() + " BC" * is_before


def word(chance: random.Random) -> str:
    letters = chance.choice(["ab", "é🚣\u3042x", " ,\"\\{}%'\n\t", "NULL"])
    return "".join(chance.choices(letters, k=chance.choice([0, 1, 5, 8, 9, 40, 300])))


def array(edges: list[str], make: Make) -> tuple[list[str], Make]:
    def quoted(element: str) -> str:
        return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def made(chance: random.Random) -> str:
        size = chance.choice([0, 1, 2, 3, 20])
        some = [quoted(make(chance)) if chance.random() < 0.8 else "NULL" for _ in range(size)]
        return "{" + ",".join(some) + "}"

    every = ",".join(map(quoted, edges))
    return ["{}", "{NULL}", "{NULL,NULL}", '{"NULL"}' if "NULL" in edges else "{}",
            f"{{{every}}}"], made  # fmt: skip


def among(*values: str) -> tuple[list[str], Make]:
    return [*values], lambda chance: chance.choice(values)


REALS = ["0", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "0.1", "-1.5e-10"]
DAYS = ["4713-11-24 BC", "0044-03-15 BC", "0001-01-01", "1969-12-31", "1970-01-01", "2000-01-01",
        "9999-12-31", "10000-01-01", "5874897-12-31"]  # fmt: skip
MOMENTS = ["4713-11-24T00:00:00 BC", "0001-01-01T00:00:00.000001 BC", "1969-12-31T23:59:59.999999",
           "1970-01-01T00:00:00", "2000-01-01T00:00:00.000001", "10000-01-01T00:00:00",
           "294246-12-31T23:59:59.999999"]  # fmt: skip
WORDS = ["", " ", "NULL", "null", "\\", '"', "'", "{}", "a,b", "é", "🚣", "👩‍👩‍👧‍👦", "x" * 300,
         "long" * 25_000, "\x01\x7f", "tab\tline\nreturn\r", "50% {0} %(x)s"]  # fmt: skip
UUIDS = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]  # fmt: skip


def uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def number(chance: random.Random) -> str:
    return repr(chance.uniform(-1, 1) * 10.0 ** chance.randint(-30, 30))


TYPES: dict[str, tuple[str, tuple[list[str], Make]]] = {
    "small": ("smallint", integer(16)),
    "whole": ("integer", integer(32)),
    "big": ("bigint", integer(64)),
    "single": ("real", (REALS, number)),
    "twice": ("double precision", ([*REALS[:5], "5e-324", "1.7976931348623157e308"], number)),
    "part": ("numeric(12,2)", decimal(12, 2)),
    "share": ("numeric(18,9)", decimal(18, 9)),
    "long_part": ("numeric(30,5)", decimal(30, 5)),
    "free": ("numeric", among("0", "-0.00", "NaN", "Infinity", "-Infinity", "1e-30", "1.500",
                              "9" * 200)),
    "flag": ("boolean", among("true", "false")),
    "day": ("date", (DAYS, lambda chance: str(date(1, 1, 1) + timedelta(chance.randrange(10**6))))),
    "hour": ("time", among("00:00", "23:59:59.999999", "12:00:00.000001")),
    "local": ("timestamp", (MOMENTS, moment)),
    "zoned": ("timestamptz", ([f"{each} UTC" for each in MOMENTS], moment)),
    "code": ("uuid", (UUIDS, uuid)),
    "raw": ("bytea", ([r"\x", r"\x00", r"\xff", r"\x" + "00ff" * 200],
                      lambda chance: r"\x" + chance.randbytes(chance.randrange(20)).hex())),
    "word": ("text", (WORDS, word)),
    "any_word": ("varchar", (WORDS, word)),
    "short": ("varchar(9)", (["", "123456789", "🚣" * 9], lambda chance: word(chance)[:9])),
    "padded": ("char(5)", (["", "12345", "🚣"], lambda chance: word(chance)[:5].strip(" "))),
    "doc": ("json", among("null", '{"a":  [1.0, "é\\u0041"], "a": 2}', "[]", '"🚣"')),
    "bdoc": ("jsonb", among("null", '{"b": 1.50, "a": [true, null, "\\n\\"", 1e400]}', "{}")),
    "mood": ('s."Mood"', among("calm", "Rough_2", "_")),
    "temper": ('s."Temper of {x} 5%"', among("calm", "50%", "{odd}", "it's", 'a"b', "c\\d", "")),
    "wholes": ("integer[]", array(*integer(32))),
    "bigs": ("bigint[]", array(*integer(64))),
    "words": ("text[]", array(WORDS, word)),
    "parts": ("numeric(10,2)[]", array(*decimal(10, 2))),
    "long_parts": ("numeric(25,3)[]", array(*decimal(25, 3))),
    "flags": ("boolean[]", array(*among("true", "false"))),
    "zoneds": ("timestamptz[]", array([f"{each} UTC" for each in MOMENTS], moment)),
    "days": ("date[]", array(DAYS, lambda chance: str(date(2000, 1, 1)))),
    "reals": ("real[]", array(REALS, number)),
    "codes": ("uuid[]", array(UUIDS, uuid)),
    "raws": ("bytea[]", array(*among(r"\x", r"\x00ff", r"\x5c22"))),
    "tempers": ('s."Temper of {x} 5%"[]', array(*among("calm", "50%", 'a"b', "c\\d", ""))),
    "rate": ("s.rate", decimal(4, 1)),
    "tags": ("s.tags", array(["a"], word)),
    "at": ("inet", among("10.0.0.1", "::1/64", "10.1.0.0/16")),
    "lasts": ("interval", among("1 day", "24 hours", "-1 mon 2 days -00:00:00.000001", "0")),
    "between": ("int4range", among("[1,3)", "empty", "(,)", "[5,)")),
}  # fmt: skip
FULL = ("big", "part", "word", "day", "code", "mood", "words")  # not null besides
DOMAINS = """
create schema s;
create type s."Mood" as enum ('calm', 'Rough_2', '_');
create type s."Temper of {x} 5%" as enum ('calm', '50%', '{odd}', 'it''s', 'a"b', 'c\\d', '');
create domain s.rate as numeric(4,1) check (value between -1000 and 1000);
create domain s.tags as text[];
"""


def declared() -> str:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in TYPES.items())
    full = ", ".join(f"{name}_full {TYPES[name][0]} not null" for name in FULL)
    return (
        f"{DOMAINS} create table s.t (id integer primary key, {columns}, {full});"
        "comment on table s.t is 'Every \"type\"\n🚣.'; comment on column s.t.day is 'A day.'"
    )


def line(values: list[str | None]) -> str:
    """Write a row as COPY reads it."""
    escaped = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return "\t".join(r"\N" if each is None else each.translate(escaped) for each in values) + "\n"


def generated(rows: int) -> Iterator[str]:
    """Make rows: first every edge value of every type, then others by chance."""
    chance = random.Random(1)
    for n in range(rows):
        full = {
            name: edges[n] if n < len(edges) else make(chance)
            for name, (_, (edges, make)) in TYPES.items()
        }
        some = [each if n < 40 or chance.random() < 0.8 else None for each in full.values()]
        yield line([str(n), *some, *(full[name] for name in FULL)])
