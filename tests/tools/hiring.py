"""Make the sample data set of hires, with a known number of flawed lines, from a fixed seed."""

import argparse
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TypeVar

SEED: int = 20_220_614
HIRES = 2_000
SPARED = 40  # The first lines carry no flaw, so that every duplicate has a line to repeat.

T = TypeVar("T")

# An edit turns the raw cells of a good line into those of a flawed one; its second argument is
# the id of some good line further up.
Edit = Callable[[list[bytes], bytes], list[bytes]]

ID, NAME, DATE, DEPARTMENT, JOB = range(5)

DEPARTMENTS = (
    "Hull Works",
    "Sail Loft",
    "Rigging Yard",
    "Timber and Resin",
    "Engine Shed",
    "Paint Hall",
    "River Trials",
    "Charter Desk",
    "Harbour Services",
    "Quay Stores",
    "Crew and Welfare",
    "Ledger Office",
)
DEPARTMENT_WEIGHTS = (18, 9, 8, 12, 11, 6, 4, 7, 10, 8, 3, 4)

GRADES = ("Apprentice {}", "{}", "Senior {}", "Lead {}")
TRADES = (
    "Boatwright",
    "Plank Steamer",
    "Caulker",
    "Keel Fitter",
    "Hull Surveyor",
    "Sailmaker",
    "Canvas Cutter",
    "Batten Stitcher",
    "Rope Splicer",
    "Mast Rigger",
    "Block and Tackle Mechanic",
    "Timber Grader",
    "Resin Mixer",
    "Mould Builder",
    "Kiln Keeper",
    "Outboard Mechanic",
    "Propeller Balancer",
    "Battery Technician",
    "Marine Electrician",
    "Varnisher",
    "Signwriter",
    "Spray Booth Operator",
    "Trials Helmsman",
    "Tide Analyst",
    "Buoyancy Tester",
    "Stability Modeller",
    "Charter Planner",
    "Booking Clerk",
    "River Guide",
    "Oar Instructor",
    "Dock Hand",
    "Crane Driver",
    "Mooring Officer",
    "Slipway Supervisor",
    "Storekeeper",
    "Stock Counter",
    "Chandlery Buyer",
    "Crew Recruiter",
    "Welfare Adviser",
    "Canteen Cook",
    "Payroll Clerk",
    "Invoice Checker",
    "Data Steward",
)
ODD_JOBS = (
    "Lock Keeper, Night Watch",
    "Ferryman, Upper Reach",
    "Carpenter, Oars and Paddles",
    "Clerk, Ropes, Chains and Anchors",
    'Skipper of the "Grey Heron"',
    "Head of Yard",
    "Deputy Head of Yard",
    "Harbour Historian",
)

# Given names and family names, one pair of lists for each culture.
NAMES = (
    (
        "Aoife Cormac Niamh Ruairí Sorcha Tadhg Oisín Bríd Fionn Caoimhe Donncha Méabh",
        "O'Hanlon O'Dowd O'Farrelly Kinsella Tierney Mulcahy Devane Heneghan O'Súird Keaveney",
    ),
    (
        "Åsa Björn Sølvi Eirik Ragnhild Tormod Gudrun Håkon Liv-Marit Jørn Signe Øyvind",
        "Brännlund Sjöholt Fjellvik Åkerby Nygård-Lie Tveitan Østmo Hedlund Kværnes Lindtorp",
    ),
    (
        "Zdzisław Łucja Bożena Radek Jiřina Vojtěch Halina Světlana Mirek Grażyna Ondřej Kinga",
        "Wróbelski Żurawik Dvořáček Hrubeš Łąkowska Pietrzyk Koželuh Sikorka Březinka Malinowiak",
    ),
    (
        "Ayşe Çağan Gülşen İlker Defne Tuğrul Ömür Sibel Gökhan Nergiz Yiğit Elçin",
        "Kayaoğlu Demirtepe Şahinbey Çelikkol Yağmurlu Aksungur Özbulut Karasu Ulusoylu",
    ),
    (
        "Thảo Quỳnh Đạt Hương Khôi Ngân Phước Tuyết Vĩnh Bích Hiếu Diễm",
        "Nguyễn Trần Lê-Đặng Phạm Huỳnh Bùi Đoàn Vương Lương Trịnh",
    ),
    (
        "Adébáyò Kwabena Ngozi Temitope Akosua Chidi Folake Yaw Ifeoma Sẹgun Esi Obinna",
        "Owusu-Badu Adeyin Okwuosa Boatengmah Ogunleye Nwachide Asantewaa Eze-Kalu Olabode Tetteh",
    ),
    (
        "Íñigo Begoña Lucía-Inés Joaquim Conceição Nuño Araceli Tomé Ximena Estêvão Belén Güido",
        "Peñalba Quiñonero Arrizabal Sequeira Valdemorillo Falcão Ibáñez-Roca Cordeiral Tordera",
    ),
    (
        "Séverine Jean-Loup Maëlle Anaïs Gaël Marie-Ève Thibault Hélène Benoît Solène Noé Zoé",
        "L'Hermitte D'Aubrac Châtelier Beaupréau Fontanet Grosjeanne Desrochelles Lefèbure Mazurel",
    ),
    (
        "Ishaan Lakshmi Devendra Meenal Arvind Kavitha Farhan Jyotsna Parveen Rohit Sunita Tariq",
        "Bhattarai Chandekar Iyengarai Kulshresh Mirchandal Pillaikar Qureshy Sahasra Thakkaran",
    ),
    (
        "Haruka Kenshirō Misato Ryōta Chiyo Daigo Natsumi Jun'ichi Shin'ya Kaede Yūto Emiko",
        "Aokawa Hoshizaki Inoshita Kurosugi Mizutori Ōbayama Sakurabe Tsukinoya Umehara Wakatani",
    ),
    (
        "Leilani Kaimana Tāne Hinemoa Sefina Manaia Tevita Aroha Wiremu Moana Losa Kahu",
        "Ka'awaloa Te-Rangi Tuipulo Fa'alogo Ngāhere Kealamakia Paepae'ula Mataio Tamahori Havili",
    ),
    (
        "Zsófia Gergő Ödön Ilka Bálint Tünde Csongor Réka Szilárd Emőke Dezső Piroska",
        "Kőszegvári Tóthfalu Bükkösi Szentmihály Fehérvölgy Gálfi-Nagy Ürmösi Zöldág Hegyközi",
    ),
)

# Hiring peaks in spring and early autumn, rests in December, and mostly happens on weekdays.
YEAR_WEIGHTS = {2020: 5, 2021: 8, 2022: 7}
MONTH_WEIGHTS = (9, 8, 11, 12, 10, 7, 5, 6, 13, 11, 7, 3)
WEEKDAY_WEIGHTS = (9, 8, 8, 7, 6, 2, 1)
HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 4, 8, 12, 12, 11, 9, 7, 9, 10, 9, 7, 4, 3, 2, 2, 1, 1, 1)
FIRST_DAY = datetime(2020, 1, 1)
DAYS = 1_096

REQUIRED = (NAME, DATE, DEPARTMENT, JOB) * 3
TYPES = (
    (DATE, b"yesterday"),
    (DATE, b"2021-02-30"),
    (DATE, b"n/a"),
    (DATE, b"2022-13-05T08:30:00Z"),
    (DATE, b"2020-06-17T25:10:00Z"),
    (DEPARTMENT, b"n/a"),
    (DEPARTMENT, b"1.0"),
    (JOB, b"1.0"),
    (JOB, b"0x1F"),
    (JOB, b"forty"),
)
LATIN_1_NAMES = (
    "Zoë Brännlund",
    "Íñigo Valdemorillo",
    "Séverine Mazurel",
    "Jørn Lindtorp",
    "Begoña Tordera",
    "Hélène Fontanet",
)
DUPLICATES = 8
REFERENCES = (
    (DEPARTMENT, b"13"),
    (DEPARTMENT, b"47"),
    (DEPARTMENT, b"99"),
    (DEPARTMENT, b"1200"),
    (JOB, b"181"),
    (JOB, b"404"),
    (JOB, b"999"),
    (JOB, b"18000"),
)
BLANK_NAMES = (b" ", b'""', b"   ", b'""', b"      ", b'""', b"  ", b'""')


def _index(rng: Random, size: int) -> int:
    """Pick an index below the size."""
    return int(rng.random() * size)


def _pick(rng: Random, items: Sequence[T]) -> T:
    """Pick one of the items."""
    return items[_index(rng, len(items))]


def _weighted(rng: Random, ladder: Sequence[int]) -> int:
    """Pick an index by the running totals of whole-number weights."""
    return bisect_right(ladder, _index(rng, ladder[-1]))


def _shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """Return the items in random order."""
    rest = list(items)
    return [rest.pop(_index(rng, len(rest))) for _ in items]


def _cell(text: str) -> bytes:
    """Encode one cell, quoted where CSV asks for it."""
    if any(mark in text for mark in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()


def _document(lines: Sequence[Sequence[bytes]]) -> bytes:
    """Join raw cells to a file with a line feed after every line."""
    return b"".join(b",".join(cells) + b"\n" for cells in lines)


def _numbered(names: Sequence[str]) -> bytes:
    """Write a file of names numbered from one."""
    return _document([[b"%d" % number, _cell(name)] for number, name in enumerate(names, 1)])


def _jobs(rng: Random) -> list[str]:
    """List all job titles in random order."""
    graded = [grade.format(trade) for trade in TRADES for grade in GRADES]
    return _shuffled(rng, [*graded, *ODD_JOBS])


def _person(rng: Random) -> str:
    """Make up a name, now and then across two cultures."""
    given, family = _pick(rng, NAMES)
    if rng.random() < 0.15:
        family = _pick(rng, NAMES)[1]
    return f"{_pick(rng, given.split())} {_pick(rng, family.split())}"


def _day_weight(day: datetime) -> int:
    """Weigh a day by its year, its month and its weekday."""
    month = MONTH_WEIGHTS[day.month - 1]
    return YEAR_WEIGHTS[day.year] * month * WEEKDAY_WEIGHTS[day.weekday()]


def _day_ladder() -> list[int]:
    """Sum up the weights of all days."""
    return list(accumulate(_day_weight(FIRST_DAY + timedelta(days=n)) for n in range(DAYS)))


def _moment(rng: Random, days: Sequence[int], hours: Sequence[int]) -> str:
    """Pick a moment of hiring in ISO 8601."""
    day = FIRST_DAY + timedelta(days=_weighted(rng, days), hours=_weighted(rng, hours))
    moment = day + timedelta(seconds=_index(rng, 3_600))
    return moment.isoformat() + "Z"


def _good_lines(rng: Random, jobs: int) -> list[list[bytes]]:
    """Make the raw cells of all hires, none of them flawed."""
    days, hours = _day_ladder(), list(accumulate(HOUR_WEIGHTS))
    departments = list(accumulate(DEPARTMENT_WEIGHTS))
    return [
        [
            b"%d" % number,
            _cell(_person(rng)),
            _moment(rng, days, hours).encode(),
            b"%d" % (_weighted(rng, departments) + 1),
            b"%d" % (_index(rng, jobs) + 1),
        ]
        for number in range(1, HIRES + 1)
    ]


def _put(column: int, raw: bytes) -> Edit:
    """Return an edit that replaces one cell."""
    return lambda cells, _: [*cells[:column], raw, *cells[column + 1 :]]


def _cut(count: int) -> Edit:
    """Return an edit that drops the last cells."""
    return lambda cells, _: cells[:-count]


def _add(column: int, raw: bytes) -> Edit:
    """Return an edit that inserts a cell."""
    return lambda cells, _: [*cells[:column], raw, *cells[column:]]


def _repeat(cells: list[bytes], earlier: bytes) -> list[bytes]:
    """Give the line the id of an earlier one."""
    return [earlier, *cells[1:]]


def _shapes() -> list[Edit]:
    """List the edits that leave too few or too many cells."""
    few = [_cut(1), _cut(1), _cut(2), _cut(4)]
    many = [_add(5, b""), _add(5, b"full-time"), _add(2, b" Jr."), _add(5, b"7")]
    return few + many


def _edits() -> dict[str, list[Edit]]:
    """List the edits under the rule they break."""
    return {
        "required": [_put(column, b"") for column in REQUIRED],
        "type": [_put(column, raw) for column, raw in TYPES],
        "shape": _shapes(),
        "encoding": [_put(NAME, name.encode("latin-1")) for name in LATIN_1_NAMES],
        "duplicate": [_repeat] * DUPLICATES,
        "reference": [_put(column, raw) for column, raw in REFERENCES],
        "check": [_put(NAME, raw) for raw in BLANK_NAMES],
    }


def _spoil(rng: Random, lines: list[list[bytes]]) -> None:
    """Apply every edit to a line of its own."""
    edits = [edit for group in _edits().values() for edit in group]
    places = _shuffled(rng, range(SPARED, len(lines)))[: len(edits)]
    taken = set(places)
    for place, edit in zip(places, edits, strict=True):
        good = [number for number in range(place) if number not in taken]
        lines[place] = edit(lines[place], b"%d" % (_pick(rng, good) + 1))


def files() -> dict[str, bytes]:
    """Make the content of every sample file."""
    rng = Random(SEED)
    jobs = _jobs(rng)
    lines = _good_lines(rng, len(jobs))
    _spoil(rng, lines)
    return {
        "departments.csv": _numbered(DEPARTMENTS),
        "jobs.csv": _numbered(jobs),
        "hired_employees.csv": _document(lines),
    }


def flaws() -> dict[str, int]:
    """Count the flawed lines of hired_employees.csv by the rule they break."""
    return {rule: len(edits) for rule, edits in _edits().items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sample files to a folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.hiring", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("raw_data"))
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)
        print(f"{folder / name}: {len(content.splitlines())} lines, {len(content)} bytes")
    print("flawed lines: " + ", ".join(f"{rule} {count}" for rule, count in flaws().items()))


if __name__ == "__main__":
    main()
