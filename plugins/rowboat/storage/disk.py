"""Opens, lists, awaits and receives files on this machine's disk."""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rowboat.address import Address
from rowboat.errors import FileChanged, FileRefused, reason
from rowboat.settings import settings
from rowboat.storage.file_names import is_left_out, stem_of, unprintable
from rowboat.storage.interfaces import OpenedFile, StoredFile

_PATIENCE = 30  # seconds to wait for a file that is still being written
_ASIDE = ".upload-"
_STALE = 86_400  # seconds after which an upload is taken for one that was killed
_UNFINISHED = 5
_ENDS, _PACKED = frozenset(b"\r\n"), (b"\x1f\x8b", b"PK\x03\x04")
_POLL = 0.5  # seconds
_ROOM = 2**20  # bytes; a disk with less counts as full
_READABLE = "give the loading user the right to read it, or remove it from raw_data"


class DiskFile(OpenedFile):
    """A file opened for reading; raises OSError for pipes and devices, whose reads may block."""

    def __init__(self, path: Path) -> None:
        super().__init__(open(path, "rb", buffering=0, opener=_opened))  # noqa: SIM115
        found = os.fstat(self.fileno())
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is not an ordinary file")
        self.size, self.version = found.st_size, str(found.st_mtime_ns)

    def still(self) -> bool:
        """Return whether the file is unchanged since it was opened."""
        now = os.fstat(self.fileno())
        return (now.st_size, str(now.st_mtime_ns)) == (self.size, self.version)


def _opened(path: str, flags: int) -> int:
    """Open a file without waiting for a writer, if it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def wait_until_still(path: Path) -> None:
    """Wait until a file's size and time have not changed for ROWBOAT_SETTLE seconds, or five times
    as long if its last line has no newline: that may come after a pause of its writer.

    Raises FileChanged if it is still being written after half a minute more.
    """
    settle = settings().settle
    if settle and not _ends_line(path):
        settle *= _UNFINISHED
    start = time.monotonic()
    last = _state(path)
    still_for = max(0.0, time.time() - last[1] / 1e9)
    while still_for < settle:
        if time.monotonic() - start > _PATIENCE + settle:
            raise FileChanged("it is still being written")
        pause = min(settle - still_for, 0.1)
        time.sleep(pause)
        now = _state(path)
        still_for = still_for + pause if now == last else 0.0
        last = now


def _ends_line(path: Path) -> bool:
    """Return whether a file ends with a newline, or is packed, so that its end tells nothing."""
    try:
        with DiskFile(path) as file:
            start = file.read(4)
            file.seek(max(0, file.size - 2))  # in UTF-16 a newline has two bytes
            return start.startswith(_PACKED) or not start or not set(file.read(2)).isdisjoint(_ENDS)
    except OSError:
        return True  # what is wrong with it is told when it is read


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileChanged("it vanished before it was read", "put it back") from None
    except OSError as error:
        raise FileRefused(f"it cannot be read: {reason(error)}", "check its rights") from None
    return found.st_size, found.st_mtime_ns


class DiskFolder:
    """A folder of this machine; links must not lead out of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settle, self.poll = settings().settle, settings().poll or _POLL

    def entries(self) -> Iterator[StoredFile]:
        """Yield all entries but those left out, also folders that cannot be read.

        Raises FileRefused if the folder itself cannot be read.
        """
        try:
            if not self._path.is_dir():
                raise self._missing("ROWBOAT_RAW_DATA")
            return self._below(_list(str(self._path)))
        except OSError as error:
            raise FileRefused(
                f"the folder {self._path} cannot be read: {reason(error)}",
                "give the loading user the right to read it",
            ) from None

    def entry(self, path: Address) -> StoredFile:
        """Return the entry of a file, here or elsewhere, even if there is no such file.

        A name that is relative to the folder, as `rowboat status` shows it, will do.
        """
        if not isinstance(path, Path):
            wrong = f"is not in {self._path}"
            return StoredFile(str(path), path, 0, "", wrong, "name a file of raw_data")
        with suppress(OSError):  # such as a name that is too long, which is told below
            if not path.exists() and (self._path / path).exists():
                path = self._path / path
        absolute = path.absolute()  # not resolved, or `_problem` would not see a link
        folder = self._path.absolute()
        inside = absolute.is_relative_to(folder)
        name = _printed(absolute.relative_to(folder) if inside else absolute)
        try:
            found = absolute.stat()
            problem = _problem(absolute, self._path if inside else None)
        except OSError as error:
            wrong = f"cannot be read: {reason(error)}"
            return StoredFile(name, absolute, 0, "", wrong, "check the path")
        return StoredFile(name, absolute, found.st_size, str(found.st_mtime_ns), problem)

    def name(self, given: str) -> str:
        """Return the name in ingest_status of a file given by a name or a path."""
        absolute, folder = Path(given).absolute(), self._path.absolute()
        if absolute.is_relative_to(folder):
            return str(absolute.relative_to(folder))
        return given if (folder / given).exists() or not absolute.exists() else str(absolute)

    def arriving(self, name: str, overwrite: bool) -> "DiskIncoming":
        """Begin to receive a file; raises FileExistsError."""
        if not overwrite and (self._path / name).exists():
            raise FileExistsError
        self._tidy()
        return DiskIncoming(self._path, name, overwrite)

    def look(self, setting: str) -> str:
        """Return that the folder can be read and written; raises FileRefused if it cannot."""
        if not self._path.is_dir():
            raise self._missing(setting)
        if not os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
            raise FileRefused(
                f"{self._path} cannot be read and written",
                "give this user the right to read and write it",
            )
        if shutil.disk_usage(self._path).free < _ROOM:
            raise FileRefused(f"the disk of {self._path} is full", "make room on it")
        return f"{self._path} can be read and written"

    def _missing(self, setting: str) -> FileRefused:
        return FileRefused(f"there is no folder {self._path}", f"make it, or set {setting}")

    def _below(self, entries: list["os.DirEntry[str]"]) -> Iterator[StoredFile]:
        """Yield the files of folders and their subfolders.

        A folder that is named like a CSV file is yielded itself, to be reported as a problem.
        """
        while entries:
            entry = entries.pop()
            try:
                if entry.is_dir(follow_symlinks=False) and stem_of(entry.name) is None:
                    entries += _list(entry.path)
                    continue
                found = self._lying(entry)
            except FileNotFoundError:
                continue  # a folder that was removed meanwhile
            except OSError as error:
                name, wrong = self._name(entry), f"cannot be read: {reason(error)}"
                found = StoredFile(name, Path(entry.path), 0, "0", wrong, _READABLE)
            yield found

    def _name(self, entry: "os.DirEntry[str]") -> str:
        return _printed(entry.path.removeprefix(f"{self._path}{os.sep}"))

    def _lying(self, entry: "os.DirEntry[str]") -> StoredFile:
        path = Path(entry.path)
        try:
            found = entry.stat()
            size, time_ns = found.st_size, found.st_mtime_ns
        except OSError:
            size = time_ns = 0
        plain = entry.is_file(
            follow_symlinks=False
        )  # then its name is all that may be wrong: saves system calls
        problem = unprintable(entry.name) if plain else _problem(path, self._path)
        return StoredFile(self._name(entry), path, size, str(time_ns), problem)

    def _tidy(self) -> None:
        """Delete uploads that killed processes left."""
        for path in self._path.glob(f"{_ASIDE}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _STALE:
                    path.unlink()


class DiskIncoming:
    """A file that is being received: written under a hidden name, synced, then renamed."""

    def __init__(self, folder: Path, name: str, overwrite: bool) -> None:
        self._folder, self._target, self._overwrite = folder, folder / name, overwrite
        self._aside = folder / f"{_ASIDE}{secrets.token_hex(8)}"
        self._file = self._aside.open("xb")

    def write(self, data: bytes) -> int:
        """Append bytes and return their number."""
        return self._file.write(data)

    def keep(self) -> None:
        """Give the file its name; raises FileExistsError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._overwrite:
            self._aside.replace(self._target)
        else:
            self._target.hardlink_to(self._aside)  # fails if the name is taken
        sync_folder(self._folder)

    def leave(self) -> None:
        """Remove the file, unless it has been kept."""
        with suppress(OSError):
            self._file.close()
        self._aside.unlink(missing_ok=True)


def sync_folder(where: Path) -> None:
    """Sync a folder, so that the names in it survive a power failure."""
    descriptor = os.open(where, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list(folder: str) -> list["os.DirEntry[str]"]:
    """Return the entries of a folder that are not left out."""
    return [entry for entry in os.scandir(folder) if not is_left_out(entry.name)]


def _printed(path: Path | str) -> str:
    """Return a path as text, with bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _problem(path: Path, within: Path | None) -> str | None:
    """Return why an entry is not a file to load, or None if it is."""
    if problem := unprintable(path.name):
        return problem
    if path.is_symlink() and not path.exists():
        return "is a link that leads nowhere"
    if within and not path.resolve().is_relative_to(within.resolve()):
        return "is a link that leads out of raw_data"
    if path.is_dir():
        return "is a folder, not a file"
    if path.exists() and not path.is_file():
        return "is not an ordinary file"
    return None
