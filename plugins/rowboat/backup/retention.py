"""Retention: which sets are kept on the shelf, and why.

The last backup of each day, week (ISO 8601, from Monday) and month is kept, for as many of them as
the settings say; days, weeks and months without a backup are not counted (as in `restic forget`).
The rules apply to each table separately, so that a backup of a few tables never replaces one of
all tables. Days are in UTC.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeAlias

from rowboat.backup import sets, shelf, verify
from rowboat.backup.sets import Set
from rowboat.database.connections import Connection, persistently, transaction
from rowboat.database.statements import query
from rowboat.settings import Settings, settings

_Kept: TypeAlias = tuple[Set, str]  # a set that a rule keeps, and the reason


@dataclass(frozen=True)
class Verdict:
    """Whether a set is kept, and why."""

    set: str
    keep: bool
    reasons: list[str]

    def __str__(self) -> str:
        return f"{self.set} {'is kept' if self.keep else 'expires'}: {', '.join(self.reasons)}"


_PERIODS: dict[str, Callable[[datetime], str]] = {
    "daily": lambda at: f"{at:%Y-%m-%d}",
    "weekly": lambda at: f"{at:%G-W%V}",
    "monthly": lambda at: f"{at:%Y-%m}",
}


def judge_sets(found: Sequence[Set], now: datetime, rules: Settings) -> list[Verdict]:
    """Return a verdict for each set, in the order given (oldest first).

    A set is kept if any rule keeps it. Only sets that count (verified backups without suspicion)
    make other sets expire.
    """
    reasons: dict[str, dict[str, None]] = {each.name: {} for each in found}  # as ordered sets
    for each, reason in _kept_sets(found, now, rules):
        reasons[each.name][reason] = None
    return [_verdict(each, list(reasons[each.name])) for each in found]


def _kept_sets(found: Sequence[Set], now: datetime, rules: Settings) -> Iterator[_Kept]:
    """Yield what each rule keeps: first the rules for sets, then those for each table."""
    yield from _pinned(found)
    yield from _of_unknown_contents(found)
    yield from _doubtful_and_recent(found, now, rules.keep_daily)
    for table in sorted({table for each in found for table in each.tables}):
        holding = [each for each in reversed(found) if table in each.tables]  # newest first
        counting = [each for each in holding if each.counts]
        yield from _newest(counting)
        yield from _last_few(counting, rules.keep_least)
        for name, period in _PERIODS.items():
            yield from _last_of_periods(counting, name, period, getattr(rules, f"keep_{name}"))
        if not counting:
            yield from _better_than_none(holding, table, rules.keep_least)


def _pinned(found: Sequence[Set]) -> Iterator[_Kept]:
    """Keep pinned sets."""
    return ((each, "pinned") for each in found if each.pinned)


def _of_unknown_contents(found: Sequence[Set]) -> Iterator[_Kept]:
    """Keep sets that cannot be read now: they may hold the only copy of a table."""
    unknown = (each for each in found if each.state == "unreadable" or not each.tables)
    return ((each, "its contents are unknown") for each in unknown)


def _doubtful_and_recent(found: Sequence[Set], now: datetime, days: int) -> Iterator[_Kept]:
    """Keep sets that do not count for some days, in which they can be examined or verified."""
    recent = (each for each in found if now - each.taken_at < timedelta(days=days))
    return (
        (each, f"{_doubt(each)}, of the last {days} days") for each in recent if not each.counts
    )


def _newest(counting: Sequence[Set]) -> Iterator[_Kept]:
    """Keep the newest verified backup of a table, whatever the settings say."""
    return ((each, "the newest verified") for each in counting[:1])


def _last_few(counting: Sequence[Set], least: int) -> Iterator[_Kept]:
    """Keep the last verified backups of a table, whatever their age."""
    return ((each, f"one of the last {least}") for each in counting[:least])


def _last_of_periods(
    counting: Sequence[Set], name: str, period: Callable[[datetime], str], most: int
) -> Iterator[_Kept]:
    """Keep the last verified backup of a table in each of the last periods that have one."""
    last: dict[str, Set] = {}
    for each in counting:
        last.setdefault(period(each.taken_at.astimezone(UTC)), each)
    return ((each, f"{name} {label}") for label, each in islice(last.items(), most))


def _better_than_none(holding: Sequence[Set], table: str, least: int) -> Iterator[_Kept]:
    """Keep the last sets of a table that has no verified backup: better a doubtful one than none.

    Sets whose files are missing are no use even then.
    """
    there = [each for each in holding if each.state != "missing"]
    return ((each, f"there is no verified backup of {table}") for each in there[:least])


def prune_sets(connection: Connection, dry_run: bool = False) -> list[Verdict]:
    """Remove the sets that no rule keeps; return a verdict for each set.

    With `dry_run` nothing is removed.
    """
    with sets.only_writer(connection):
        prove_unverified(connection)
        with transaction(connection) as cursor:
            found = sets.read_sets(cursor)
        verdicts = judge_sets(found, datetime.now(UTC), settings())
        for verdict in () if dry_run else verdicts:
            if not verdict.keep:
                # First the record, then the files: if this process is killed between the two, the
                # next writer records the set again, and no record names files that are gone.
                persistently(partial(_forget, connection, verdict.set))
                if verdict.set in shelf.set_names():
                    shelf.remove_set(verdict.set)
    return verdicts


def prove_unverified(connection: Connection) -> None:
    """Verify the backups that never were verified: all of them if the record was lost."""
    with transaction(connection) as cursor:
        found = sets.read_sets(cursor)
    for each in found:
        unproven = each.purpose == "backup" and each.verified_at is None
        if unproven and each.state == "whole":
            verify.verify_set(connection, each.name)


def _forget(connection: Connection, name: str) -> None:
    with transaction(connection) as cursor:
        cursor.execute(query("backup.forget"), {"set": name})


def _doubt(each: Set) -> str:
    if each.state != "whole":
        return each.state
    if each.purpose == "safety":
        return "a safety copy"
    return "suspicious" if each.suspicion else "not verified"


def _verdict(each: Set, reasons: list[str]) -> Verdict:
    if reasons:
        return Verdict(each.name, True, reasons)
    if each.counts:
        return Verdict(each.name, False, ["newer backups cover its day, week and month"])
    return Verdict(each.name, False, [f"{_doubt(each)}, and old enough"])
