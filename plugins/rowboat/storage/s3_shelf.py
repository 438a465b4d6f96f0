"""A shelf that is a prefix of a bucket: a set is there as soon, and as long, as its manifest is.

Nothing can be renamed there. So whoever writes or removes a set marks that first; a mark without a
manifest tells what a killed process has left.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from rowboat.address import S3Url
from rowboat.storage import s3
from rowboat.storage.interfaces import MANIFEST, PINNED
from rowboat.storage.s3 import Object, Upload
from rowboat.storage.s3_folder import BucketFolder

_SET = re.compile(rf"([^/.][^/]*)/{re.escape(MANIFEST)}")
_MARKED = re.compile(r"\.([^/]+)\.part")


class BucketShelf:
    """All sets whose keys begin so."""

    def __init__(self, url: S3Url) -> None:
        self._url = url

    def names(self) -> list[str]:
        """Return the names of the sets, oldest first."""
        return _names(self._keys())

    def opened(self, name: str, file: str) -> Object:
        """Open a set's file."""
        return Object(self._at(name, file))

    def sizes(self, name: str, files: list[str]) -> dict[str, int]:
        """Return file → bytes; raises FileNotFoundError where one is missing."""
        at = self._at(name)
        found = {each.key[len(at.prefix) :]: each.size for each in s3.listing(at)}
        if missing := set(files) - set(found):
            raise FileNotFoundError(min(missing))
        return {file: found[file] for file in files}

    def taken(self, name: str) -> bool:
        """Tell whether something has the name of a set."""
        return any(True for _ in s3.listing(self._at(name), most=1))

    def time(self, name: str) -> datetime:
        """Return when a set was written, by its manifest."""
        return s3.look(self._at(name, MANIFEST)).time

    @contextmanager
    def aside(self, name: str) -> Iterator["BucketAside"]:
        """Write a set that has no manifest yet; it goes away when the block fails."""
        s3.put(self._mark(name))
        try:
            yield BucketAside(self._at(name))
        except BaseException:
            with suppress(OSError):
                self._empty(name)
            raise
        with suppress(OSError):  # the set is there; the next writer takes the mark away
            s3.remove(self._mark(name))

    def pin(self, name: str, pinned: bool) -> None:
        """Mark a set as one that stays, or no longer."""
        if pinned:
            s3.put(self._at(name, PINNED))
        else:
            s3.remove(self._at(name, PINNED))

    def is_pinned(self, name: str) -> bool:
        """Tell whether a set is marked so."""
        return s3.exists(self._at(name, PINNED))

    def remove(self, name: str) -> None:
        """Take a set away: its manifest first, so that no reader finds half of it."""
        s3.put(self._mark(name))
        self._empty(name)

    def clean(self) -> list[str]:
        """Take away what killed writers left, and name it; a set with a manifest is whole."""
        keys = self._keys()
        there, found = _names(keys), (_MARKED.fullmatch(key) for key in keys)
        marked = [mark[1] for mark in found if mark]
        for name in marked:
            if name in there:
                s3.remove(self._mark(name))
            else:
                self._empty(name)
        return [name for name in marked if name not in there]

    def look(self) -> str:
        """Tell that it can be listed; raises FileRefused where it cannot."""
        return BucketFolder(self._url).look("ROWBOAT_BACKUPS")

    def _keys(self) -> list[str]:
        """Return all keys, without what they all begin with."""
        return [found.key[len(self._url.prefix) :] for found in s3.listing(self._url)]

    def _empty(self, name: str) -> None:
        """Take all of a set away, the manifest first and the mark last."""
        s3.remove(self._at(name, MANIFEST))
        for found in s3.listing(self._at(name)):
            s3.remove(S3Url(self._url.bucket, found.key))
        with suppress(s3.Failure):  # some servers do not list them, some rights forbid it
            s3.abort_uploads(self._at(name))
        s3.remove(self._mark(name))

    def _at(self, name: str, file: str = "") -> S3Url:
        key = f"{self._url.prefix}{name}"
        return S3Url(self._url.bucket, f"{key}/{file}" if file else key)

    def _mark(self, name: str) -> S3Url:
        return self._at(f".{name}.part")


class BucketAside:
    """A set whose files are in their place, but which has no manifest."""

    def __init__(self, url: S3Url) -> None:
        self._url = url

    @contextmanager
    def file(self, name: str) -> Iterator[Upload]:
        """Write a file; the block's end is that of its upload."""
        upload = Upload(S3Url(self._url.bucket, f"{self._url.prefix}{name}"))
        try:
            yield upload
            upload.keep()
        finally:
            upload.leave()

    def publish(self, manifest: bytes, pinned: bool) -> None:
        """Write the manifest: from here on the set is there, and whole."""
        if pinned:
            with self.file(PINNED):
                pass
        with self.file(MANIFEST) as file:
            file.write(manifest)


def _names(keys: list[str]) -> list[str]:
    found = (_SET.fullmatch(key) for key in keys)
    return sorted(each[1] for each in found if each)
