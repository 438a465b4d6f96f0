"""The folder of CSV files: what lies there, and to which table each file belongs."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rowboat.catalog import Catalog, Table
from rowboat.errors import FileChanged, FileRefused
from rowboat.settings import settings

SUFFIXES = (".csv", ".tsv", ".txt")
PACKED = ".gz"
UNFINISHED = (".part", ".tmp", ".crdownload", "~")
_PATIENCE = 30  # seconds to wait for a file that is still being written


@dataclass(frozen=True)
class FoundFile:
    """A file as it was when the folder was read.

    `name` is relative to raw_data (absolute where it lies elsewhere); `table` is None and
    `problem` says why, where it cannot be loaded.
    """

    name: str
    path: Path
    size: int
    time_ns: int
    table: Table | None = None
    problem: str | None = None


def scan(catalog: Catalog) -> list[FoundFile]:
    """List every file of raw_data by name; hidden and unfinished ones are left out.

    Raises FileRefused where the folder itself cannot be read.
    """
    folder = settings().raw_data
    if not folder.is_dir():
        raise FileRefused(f"there is no folder {folder}", "make it, or set ROWBOAT_RAW_DATA")
    return [_found(entry, catalog) for entry in sorted(listing(folder), key=lambda e: e.path)]


def listing(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Walk a folder; folders named like CSV files are given as they are, not walked."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise FileRefused(
            f"the folder {folder} cannot be read: {(error.strerror or str(error)).lower()}",
            "give the loading user the right to read it",
        ) from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name.endswith(UNFINISHED):
            continue
        if entry.is_dir(follow_symlinks=False) and _stem(entry.name) is None:
            yield from listing(Path(entry.path))
        else:
            yield entry


def relative(path: str) -> Path:
    """Return a path below raw_data as the name that positions use."""
    return Path(path).relative_to(settings().raw_data)


def locate(path: Path, catalog: Catalog) -> FoundFile:
    """Find the table of one file that the user named; raises FileRefused where there is none."""
    absolute = path.absolute()  # not resolved: a link is to be seen as one
    try:
        found = absolute.stat()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileRefused(f"{path} cannot be read: {reason}", "check the path") from None
    folder = settings().raw_data.absolute()
    inside = absolute.is_relative_to(folder)
    name = _printed(absolute.relative_to(folder) if inside else absolute)
    problem = _problem(absolute, inside)
    table, none = (None, problem) if problem else match(name, catalog)
    return FoundFile(name, absolute, found.st_size, found.st_mtime_ns, table, none)


def match(name: str, catalog: Catalog) -> tuple[Table | None, str | None]:
    """Return the table whose name a file or one of its folders begins with, or why there is none.

    The longest name wins; case counts only where two tables differ by nothing else.
    """
    stem = _stem(Path(name).name)
    if stem is None:
        return None, f"is not one of {', '.join(SUFFIXES)}, packed (.gz) or not"
    folders = [part for part in reversed(Path(name).parent.parts) if part not in (os.sep, ".")]
    for part, whole in [(stem, False), *((folder, True) for folder in folders)]:
        candidates = _candidates(part, whole, catalog)
        if len(candidates) == 1:
            return candidates[0], None
        if candidates:
            names = " and ".join(table.full_name for table in candidates)
            return None, f"belongs to {names} alike: put the schema in front of its name"
    known = ", ".join(table.name for table in catalog.in_order())
    return None, f"belongs to no table: its name begins with none of {known}"


def wait_until_still(path: Path) -> None:
    """Wait until a file's size and time have not changed for ROWBOAT_SETTLE seconds.

    Raises FileChanged when it is still being written after half a minute.
    """
    settle = settings().settle
    start = time.monotonic()
    last = _state(path)
    still_for = max(0.0, time.time() - last[1] / 1e9)
    while still_for < settle:
        if time.monotonic() - start > _PATIENCE:
            raise FileChanged("it is still being written")
        pause = min(settle - still_for, 0.1)
        time.sleep(pause)
        now = _state(path)
        still_for = still_for + pause if now == last else 0.0
        last = now


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileChanged("it vanished before it was read", "put it back") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileRefused(f"it cannot be read: {reason}", "check its rights") from None
    return found.st_size, found.st_mtime_ns


def _found(entry: "os.DirEntry[str]", catalog: Catalog) -> FoundFile:
    path = Path(entry.path)
    name = _printed(relative(entry.path))
    try:
        found = entry.stat()
        size, time_ns = found.st_size, found.st_mtime_ns
    except OSError:
        size = time_ns = 0
    plain = entry.is_file(follow_symlinks=False)  # then only its name can be wrong
    problem = _unprintable(path) if plain else _problem(path, inside=True)
    table, none = (None, problem) if problem else match(name, catalog)
    return FoundFile(name, path, size, time_ns, table, none)


def _printed(path: Path) -> str:
    """Write a path as text; bytes of it that are no UTF-8 as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _problem(path: Path, inside: bool) -> str | None:
    """Tell why something that lies there is not a file to load."""
    if problem := _unprintable(path):
        return problem
    if path.is_symlink() and not path.exists():
        return "is a link that leads nowhere"
    if inside and not path.resolve().is_relative_to(settings().raw_data.resolve()):
        return "is a link that leads out of raw_data"
    if path.is_dir():
        return "is a folder, not a file"
    if path.exists() and not path.is_file():
        return "is not an ordinary file"
    return None


def _unprintable(path: Path) -> str | None:
    return None if path.name.isprintable() else "has a name with unprintable characters"


def _stem(name: str) -> str | None:
    """Return a file's name without its endings, or None where they are not those of a CSV."""
    bare = name[: -len(PACKED)] if name.lower().endswith(PACKED) else name
    return bare[:-4] if bare.lower().endswith(SUFFIXES) else None


def _candidates(part: str, whole: bool, catalog: Catalog) -> list[Table]:
    names = [
        (name, table)
        for table in catalog
        for name in (table.name, table.full_name)
        if _begins(part, name, whole)
    ]
    longest = max((len(name) for name, _ in names), default=0)
    found = [(name, table) for name, table in names if len(name) == longest]
    exact = [table for name, table in found if part.startswith(name)]
    return exact or [table for _, table in found]


def _begins(part: str, name: str, whole: bool) -> bool:
    rest = part[len(name) :]
    alike = part[: len(name)].casefold() == name.casefold()
    return alike and (not rest or (not whole and not rest[0].isalnum()))
