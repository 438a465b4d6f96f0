"""Template filters that format values: numbers, sizes, times, ages, NULL."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from rowboat.rendering.elements import ago

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: int | None) -> str:
    """Format a count: 1,929."""
    return "" if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Format a number of bytes: 28.5 MiB (IEC 80000-13)."""
    if value is None:
        return ""
    amount, unit = float(value), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.{1 if unit else 0}f} {_UNITS[unit]}"


def moment(value: datetime | str | None) -> Markup:
    """Format a time in UTC to the second, as a `time` element that machines can read."""
    if not value:
        return Markup("")
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    when = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), f"{when:%Y-%m-%d %H:%M:%S} UTC"
    )


def age(value: datetime) -> str:
    """Format the time since a moment: 2 hours ago."""
    return ago((datetime.now(UTC) - value).total_seconds())


def cell(value: Any) -> Markup:
    """Format a value of a row; NULL looks different from the text 'NULL'."""
    if value is None:
        return Markup('<span class="null">NULL</span>')
    return escape(str(value).lower() if isinstance(value, bool) else value)
