"""What stays on the shelf and what expires: plain cases by their sentences, years by an oracle."""

import random
from calendar import timegm
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rowboat.backup.retention import judge_sets
from rowboat.backup.sets import Set
from rowboat.settings import Settings
from tests.support.effort import tries

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)  # a Wednesday
DAYS, DAY = tries(785, 3_650), 86_400
GOES = "newer backups cover its day, week and month"


def rules(**changes: int) -> Settings:
    """Return the settings, whatever the environment says."""
    kept = {"keep_daily": 7, "keep_weekly": 5, "keep_monthly": 12, "keep_least": 3}
    return Settings(**(kept | changes))  # type: ignore[arg-type]


def backup(taken: datetime, *tables: str, **changes: Any) -> Set:
    """Return a verified backup named after its moment."""
    name = taken.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    held = dict.fromkeys(tables or ("a", "b"), 1)
    facts: dict[str, Any] = {"name": name, "taken_at": taken, "tables": held, "verified_at": taken}
    return Set(**(facts | changes))


def ago(*days: float, **changes: Any) -> list[Set]:
    """Return a backup for each of the ages in days."""
    return [backup(NOW - timedelta(days=each), **changes) for each in days]


def said(found: list[Set], **changes: int) -> list[str]:
    return [str(each) for each in judge_sets(found, NOW, rules(**changes))]


def kept(found: list[Set], **changes: int) -> list[str]:
    return [each.set for each in judge_sets(found, NOW, rules(**changes)) if each.keep]


def test_nothing() -> None:
    assert judge_sets([], NOW, rules()) == []


def test_reasons() -> None:
    found = ago(40, 30, 8, 1.1, 1, 0)
    assert said(found, keep_daily=2, keep_weekly=2, keep_monthly=2, keep_least=1) == [
        f"2026-05-08 12:00 expires: {GOES}",
        "2026-05-18 12:00 is kept: monthly 2026-05",
        "2026-06-09 12:00 is kept: weekly 2026-W24",
        f"2026-06-16 09:36 expires: {GOES}",
        "2026-06-16 12:00 is kept: daily 2026-06-16",
        "2026-06-17 12:00 is kept: the newest verified, one of the last 1, daily 2026-06-17, "
        "weekly 2026-W25, monthly 2026-06",
    ]


@pytest.mark.parametrize("age", [0, 1, 400, 10_000])
def test_the_newest_verified_never_goes(age: float) -> None:
    found = [*ago(age), *ago(*(age * share for share in (0.9, 0.5, 0.1)), verified_at=None)]
    verdicts = judge_sets(
        found, NOW, rules(keep_daily=0, keep_weekly=0, keep_monthly=0, keep_least=1)
    )
    assert verdicts[0].keep
    assert verdicts[0].reasons[0] == "the newest verified"


DOUBTS: list[tuple[dict[str, Any], str]] = [
    ({"verified_at": None}, "not verified"),
    ({"suspicion": "it holds no rows"}, "suspicious"),
    ({"purpose": "safety"}, "a safety copy"),
    ({"state": "missing"}, "missing"),
    ({"state": "damaged"}, "damaged"),
    ({"state": "dated in the future"}, "dated in the future"),
]


@pytest.mark.parametrize(("changes", "doubt"), DOUBTS)
def test_a_doubtful_one_makes_none_go_and_goes_by_its_age(
    changes: dict[str, Any], doubt: str
) -> None:
    good = ago(12, 11, 10, 9)
    before = kept(good, keep_daily=3, keep_least=2)
    assert len(before) == 3
    doubtful = ago(3.1, 3, 2.9, 1, 0, -5, **changes)
    assert said([*good, *doubtful], keep_daily=3, keep_least=2)[4:] == [
        f"2026-06-14 09:36 expires: {doubt}, and old enough",
        f"2026-06-14 12:00 expires: {doubt}, and old enough",
        *(f"{each.name} is kept: {doubt}, of the last 3 days" for each in doubtful[2:]),
    ]
    assert kept([*good, *doubtful], keep_daily=3, keep_least=2)[:3] == before


def test_what_cannot_be_told_stays() -> None:
    good = ago(3, 2, 1, 0)
    unknown = backup(NOW - timedelta(days=900), state="damaged", tables={}, verified_at=None)
    unreadable = backup(NOW - timedelta(days=800), state="unreadable")
    assert said([unknown, unreadable, *good])[:2] == [
        f"{unknown.name} is kept: its contents are unknown",
        f"{unreadable.name} is kept: its contents are unknown",
    ]


def test_pinned_ones_stay_and_stand_for_their_day_too() -> None:
    found = [*ago(5_000, pinned=True), *ago(4_000, pinned=True, verified_at=None), *ago(3, 2, 1)]
    assert said(found, keep_monthly=1)[:2] == [
        "2012-10-08 12:00 is kept: pinned, daily 2012-10-08, weekly 2012-W41",
        "2015-07-05 12:00 is kept: pinned",
    ]  # fmt: skip


@pytest.mark.parametrize("least", [1, 3, 6])
def test_the_least_number(least: int) -> None:
    found = ago(0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
    none = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}
    assert kept(found, keep_least=least, **none) == [each.name for each in found[-least:]]


def test_only_days_that_have_one_count() -> None:
    found = ago(900, 700, 500, 300, 100)
    assert kept(found, keep_daily=3, keep_weekly=0, keep_monthly=0, keep_least=1) == [
        each.name for each in found[2:]
    ]


def test_partial_sets_do_not_replace_whole_ones() -> None:
    whole = [backup(NOW - timedelta(days=9 - n), "a", "b") for n in range(2)]
    parts = [backup(NOW - timedelta(hours=9 - n), "a") for n in range(9)]
    verdicts = said([*whole, *parts], keep_daily=1, keep_weekly=1, keep_monthly=1, keep_least=2)
    assert verdicts == [
        "2026-06-08 12:00 is kept: one of the last 2",
        "2026-06-09 12:00 is kept: the newest verified, one of the last 2, daily 2026-06-09, "
        "weekly 2026-W24, monthly 2026-06",
        *(f"{each.name} expires: {GOES}" for each in parts[:-2]),
        f"{parts[-2].name} is kept: one of the last 2",
        f"{parts[-1].name} is kept: the newest verified, one of the last 2, daily 2026-06-17, "
        "weekly 2026-W25, monthly 2026-06",
    ]


def test_the_last_backups_of_a_dropped_table_stay() -> None:
    before = [backup(NOW - timedelta(days=3_000 - n), "a", "gone") for n in range(2)]
    after = [backup(NOW - timedelta(days=500 - n), "a") for n in range(500)]
    found = kept([*before, *after], keep_least=1, keep_daily=1, keep_weekly=0, keep_monthly=0)
    assert found == [before[-1].name, after[-1].name]


@pytest.mark.parametrize("state", ["whole", "damaged"])
def test_better_a_doubtful_one_than_none(state: str) -> None:
    doubtful = [*ago(900, 800, 700, tables={"b": 1}, suspicion="lost", state=state)]
    missing = ago(600, tables={"b": 1}, state="missing")
    found = [*doubtful, *missing, *ago(1, tables={"a": 1})]
    reason = "suspicious" if state == "whole" else "damaged"
    assert said(found, keep_least=2)[:4] == [
        f"{doubtful[0].name} expires: {reason}, and old enough",
        f"{doubtful[1].name} is kept: there is no verified backup of b",
        f"{doubtful[2].name} is kept: there is no verified backup of b",
        f"{missing[0].name} expires: missing, and old enough",
    ]


def test_days_weeks_and_months_are_of_utc() -> None:
    """In Kiritimati it is tomorrow; a week begins on Monday, W53 belongs to the old year."""
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-11))
    found = [
        backup(datetime(2021, 1, 3, 23, 59, tzinfo=UTC).astimezone(east)),  # a Sunday of 2020-W53
        backup(datetime(2021, 1, 4, 0, 1, tzinfo=UTC).astimezone(west)),  # the Monday after it
        backup(datetime(2021, 1, 31, 23, 59, tzinfo=UTC).astimezone(east)),
        backup(datetime(2021, 2, 1, 0, 1, tzinfo=UTC).astimezone(west)),
    ]
    every = rules(keep_least=1, keep_daily=9, keep_weekly=9, keep_monthly=9)
    reasons = [each.reasons for each in judge_sets(found, NOW, every)]
    assert reasons[0] == ["daily 2021-01-03", "weekly 2020-W53"]
    assert reasons[1] == ["daily 2021-01-04", "weekly 2021-W01"]
    assert reasons[2] == ["daily 2021-01-31", "weekly 2021-W04", "monthly 2021-01"]
    assert reasons[3][-3:] == ["daily 2021-02-01", "weekly 2021-W05", "monthly 2021-02"]


# The oracle counts in seconds since 1970 and walks the periods back one by one, by brute force.


def seconds(moment: datetime) -> int:
    return timegm(moment.utctimetuple())


def days_back(now: int) -> Iterator[tuple[int, int]]:
    """Yield the day of now, the one before, …, each as its first second and that of the next."""
    begin = now - now % DAY
    while begin > 0:
        yield begin, begin + DAY
        begin -= DAY


def weeks_back(now: int) -> Iterator[tuple[int, int]]:
    begin = now - (now - 4 * DAY) % (7 * DAY)  # 1970-01-05 was a Monday
    while begin > 0:
        yield begin, begin + 7 * DAY
        begin -= 7 * DAY


def months_back(now: int) -> Iterator[tuple[int, int]]:
    today = datetime.fromtimestamp(now, UTC)
    year, month = today.year, today.month
    while year > 1970:
        nexts = (year, month + 1) if month < 12 else (year + 1, 1)
        yield timegm((year, month, 1, 0, 0, 0)), timegm((*nexts, 1, 0, 0, 0))
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


def expected(found: list[Set], now: datetime, rules: Settings) -> set[str]:
    """Return the sets that have to stay."""
    stay = {each.name for each in found if each.pinned}
    good: list[Set] = []
    doubtful: list[Set] = []
    for each in found:
        is_good = each.purpose == "backup" and each.verified_at and not each.suspicion
        (good if is_good and each.state == "whole" else doubtful).append(each)
    oldest = seconds(now) - rules.keep_daily * DAY
    stay |= {each.name for each in doubtful if seconds(each.taken_at) > oldest}
    for table in {table for each in found for table in each.tables}:
        moments = {seconds(each.taken_at): each.name for each in good if table in each.tables}
        latest = sorted(moments, reverse=True)
        stay |= {moments[at] for at in latest[: max(rules.keep_least, 1)]}
        for periods, wanted in (
            (days_back, rules.keep_daily), (weeks_back, rules.keep_weekly),
            (months_back, rules.keep_monthly),
        ):  # fmt: skip
            stay |= {moments[at] for at in walk(periods(seconds(now)), latest, wanted)}
        if not moments:
            with_it = [each for each in doubtful if table in each.tables]
            with_it = [each for each in with_it if each.state != "missing"]
            stay |= {each.name for each in with_it[-rules.keep_least :]}
    return stay


def walk(periods: Iterator[tuple[int, int]], latest: list[int], wanted: int) -> list[int]:
    """Return the last moment of each of so many periods that have one."""
    found: list[int] = []
    left = list(latest)
    while left and len(found) < wanted:
        begin, end = next(periods)
        if left[0] < begin:
            continue
        inside = [at for at in left if begin <= at < end]
        found += inside[:1]
        left = [at for at in left if at < begin]
    return found


Shape = Callable[[random.Random, datetime], list[Set]]


def nightly(rng: random.Random, day: datetime) -> list[Set]:
    return [backup(day + timedelta(hours=2))]


def several_a_day(rng: random.Random, day: datetime) -> list[Set]:
    hours = sorted(rng.sample(range(24), rng.randrange(1, 5)))
    return [backup(day + timedelta(hours=hour)) for hour in hours]


def with_gaps(rng: random.Random, day: datetime) -> list[Set]:
    """Nothing for up to months at a time."""
    is_open = day.toordinal() // 37 % 3 and rng.random() < 0.4
    return [backup(day + timedelta(seconds=rng.randrange(DAY)))] if is_open else []


def doubtful(rng: random.Random, day: datetime) -> list[Set]:
    return [
        backup(each.taken_at, **rng.choice([*[{}] * 6, *(changes for changes, _ in DOUBTS[:5]),
                                            {"pinned": rng.random() < 0.02}]))
        for each in several_a_day(rng, day)
    ]  # fmt: skip


def mostly_bad(rng: random.Random, day: datetime) -> list[Set]:
    changes = {} if rng.random() < 0.01 else rng.choice(DOUBTS)[0]
    return [backup(day + timedelta(hours=3), **changes)]


def partial(rng: random.Random, day: datetime) -> list[Set]:
    """Of one of two tables, of both, of one that comes and goes."""
    age = day.toordinal() % 1_000
    kinds = [("a", "b"), ("a",), ("b",), *([("a", "b", "c")] * (age < 500))]
    return [
        backup(each.taken_at, *rng.choice(kinds), verified_at=rng.choice([NOW, NOW, None]))
        for each in several_a_day(rng, day)
    ]


@pytest.mark.parametrize(
    "changes",
    [{}, {"keep_daily": 0, "keep_weekly": 3, "keep_monthly": 0, "keep_least": 1}],
    ids=["default", "few"],
)
@pytest.mark.parametrize(
    "shape", [nightly, several_a_day, with_gaps, doubtful, mostly_bad, partial]
)
def test_years_day_by_day(shape: Shape, changes: dict[str, int]) -> None:
    rng, kept_rules, first = (
        random.Random(SEED),
        rules(**changes),
        datetime(2016, 2, 25, tzinfo=UTC),
    )
    on_shelf: list[Set] = []
    ever: set[str] = set()
    for number in range(DAYS):
        day = first + timedelta(days=number)
        for each in shape(rng, day):
            each.name = f"{each.taken_at:%Y%m%dT%H%M%SZ}"
            on_shelf.append(each)
            ever.add(each.name)
        now = day + timedelta(days=1, seconds=-1)
        verdicts = judge_sets(on_shelf, now, kept_rules)
        assert [each.set for each in verdicts] == [each.name for each in on_shelf]
        assert all(each.reasons for each in verdicts)
        stay = {each.set for each in verdicts if each.keep}
        assert stay == expected(on_shelf, now, kept_rules), f"day {number}"
        good = [each.name for each in on_shelf if each.counts]
        assert good[-1:] == [name for name in good[-1:] if name in stay]
        on_shelf = [each for each in on_shelf if each.name in stay]
    assert len(on_shelf) < 150 < len(ever)
    if not changes and shape is nightly:
        assert len(on_shelf) == len(stay) == 7 + 4 + 10


SEED = 20_240_229
