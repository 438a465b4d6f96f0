"""Which sets stay on the shelf, and why.

The last backup of a day, a week (ISO 8601, from Monday) and a month is kept for as many of them as
the settings say, counting only those that have one (as restic's `forget` does). This is asked for
each table, so that a backup of a few tables never takes the place of one of all. Days are UTC.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from rowboat.backup import sets, shelf, verify
from rowboat.backup.sets import Set
from rowboat.database.connections import Connection, persistently, transaction
from rowboat.database.statements import query
from rowboat.settings import Settings, settings


@dataclass(frozen=True)
class Verdict:
    """What becomes of a set, and why."""

    set: str
    keep: bool
    reasons: list[str]

    def __str__(self) -> str:
        return f"{self.set} {'stays' if self.keep else 'goes'}: {', '.join(self.reasons)}"


_PERIODS: dict[str, Callable[[datetime], str]] = {
    "daily": lambda at: f"{at:%Y-%m-%d}",
    "weekly": lambda at: f"{at:%G-W%V}",
    "monthly": lambda at: f"{at:%Y-%m}",
}


def judge_sets(found: Sequence[Set], now: datetime, rules: Settings) -> list[Verdict]:
    """Return a verdict for each set, in the order given (oldest first).

    Only verified backups that nothing is suspected of count; no other makes a set go.
    """
    reasons: dict[str, list[str]] = {each.name: [] for each in found}

    def keep(each: Set, reason: str) -> None:
        if reason not in reasons[each.name]:
            reasons[each.name].append(reason)

    for each in found:
        if each.pinned:
            keep(each, "pinned")
        if each.state == "unreadable" or not each.tables:
            keep(each, "nobody can tell what it holds")
        if not each.counts and now - each.taken_at < timedelta(days=rules.keep_daily):
            keep(each, f"{_doubt(each)}, of the last {rules.keep_daily} days")
    for table in sorted({table for each in found for table in each.tables}):
        counting = [each for each in reversed(found) if each.counts and table in each.tables]
        if counting:
            keep(counting[0], "the newest verified")
        for each in counting[: rules.keep_least]:
            keep(each, f"one of the last {rules.keep_least}")
        for name, period in _PERIODS.items():
            for each, of in _last_of_each(counting, period)[: getattr(rules, f"keep_{name}")]:
                keep(each, f"{name} {of}")
        if not counting:  # better a doubtful one than none
            holding = [each for each in found if table in each.tables and each.state != "missing"]
            for each in holding[-rules.keep_least :]:
                keep(each, f"no verified backup of {table} is there")
    return [_verdict(each, reasons[each.name]) for each in found]


def prune_sets(connection: Connection, dry_run: bool = False) -> list[Verdict]:
    """Take the sets off the shelf that no rule keeps; tell of each set why it stays or goes.

    The record goes first: a set that is listed is whole.
    """
    with sets.only_writer(connection):
        prove_unverified(connection)
        with transaction(connection) as cursor:
            found = sets.read_sets(cursor)
        verdicts = judge_sets(found, datetime.now(UTC), settings())
        for verdict in () if dry_run else verdicts:
            if not verdict.keep:
                persistently(partial(_forget, connection, verdict.set))
                if verdict.set in shelf.set_names():
                    shelf.remove_set(verdict.set)
    return verdicts


def prove_unverified(connection: Connection) -> None:
    """Verify the backups that never were: where the record was lost, all of the shelf's."""
    with transaction(connection) as cursor:
        found = sets.read_sets(cursor)
    for each in found:
        unproven = each.purpose == "backup" and each.verified_at is None
        if unproven and each.state == "whole":
            verify.verify_set(connection, each.name)


def _forget(connection: Connection, name: str) -> None:
    with transaction(connection) as cursor:
        cursor.execute(query("backup.forget"), {"set": name})


def _last_of_each(
    newest_first: Iterable[Set], period: Callable[[datetime], str]
) -> list[tuple[Set, str]]:
    last: dict[str, Set] = {}
    for each in newest_first:
        last.setdefault(period(each.taken_at.astimezone(UTC)), each)
    return [(each, of) for of, each in last.items()]


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
        return Verdict(each.name, False, ["newer ones stand for its day, week and month"])
    return Verdict(each.name, False, [f"{_doubt(each)}, and old enough"])
