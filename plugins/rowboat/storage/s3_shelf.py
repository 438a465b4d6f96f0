"""The shelf as a prefix of a bucket: a set exists exactly while its manifest does.

S3 cannot rename. So a process that writes or removes a set first puts a mark beside it; a mark
without a manifest shows what a killed process has left behind.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from rowboat.address import S3Url
from rowboat.storage import s3
from rowboat.storage.interfaces import MANIFEST, PINNED
from rowboat.storage.s3 import MultipartUpload, S3Object
from rowboat.storage.s3_folder import S3Folder

_SET = re.compile(rf"([^/.][^/]*)/{re.escape(MANIFEST)}")
_MARKED = re.compile(r"\.([^/]+)\.part")


class S3Shelf:
    """The sets below a prefix."""

    def __init__(self, url: S3Url) -> None:
        self._url = url

    def names(self) -> list[str]:
        """Return the names of the sets, oldest first."""
        return _names(self._keys())

    def opened(self, name: str, file: str) -> S3Object:
        """Open a file of a set."""
        return S3Object(self._at(name, file))

    def sizes(self, name: str, files: list[str]) -> dict[str, int]:
        """Return file → bytes; raises FileNotFoundError if one is missing."""
        at = self._at(name)
        found = {each.key[len(at.prefix) :]: each.size for each in s3.list_objects(at)}
        if missing := set(files) - set(found):
            raise FileNotFoundError(min(missing))
        return {file: found[file] for file in files}

    def taken(self, name: str) -> bool:
        """Return whether any object uses the name of a set."""
        return any(True for _ in s3.list_objects(self._at(name), most=1))

    def time(self, name: str) -> datetime:
        """Return when a set's manifest was written."""
        return s3.stat_object(self._at(name, MANIFEST)).time

    @contextmanager
    def aside(self, name: str) -> Iterator["S3Aside"]:
        """Write a set without its manifest; everything is deleted if the block fails."""
        s3.put_object(self._mark(name))
        try:
            yield S3Aside(self._at(name))
        except BaseException:
            with suppress(OSError):
                self._empty(name)
            raise
        with suppress(OSError):  # the set is complete; the next writer deletes the mark
            s3.delete_object(self._mark(name))

    def pin(self, name: str, pinned: bool) -> None:
        """Pin a set, or unpin it."""
        if pinned:
            s3.put_object(self._at(name, PINNED))
        else:
            s3.delete_object(self._at(name, PINNED))

    def is_pinned(self, name: str) -> bool:
        """Return whether a set is pinned."""
        return s3.object_exists(self._at(name, PINNED))

    def remove(self, name: str) -> None:
        """Delete a set, its manifest first, so that no reader finds half of it."""
        s3.put_object(self._mark(name))
        self._empty(name)

    def clean(self) -> list[str]:
        """Delete what killed writers left, and return the names; a set with a manifest is whole."""
        keys = self._keys()
        there, found = _names(keys), (_MARKED.fullmatch(key) for key in keys)
        marked = [mark[1] for mark in found if mark]
        for name in marked:
            if name in there:
                s3.delete_object(self._mark(name))
            else:
                self._empty(name)
        return [name for name in marked if name not in there]

    def look(self) -> str:
        """Return a sentence that the shelf can be listed; raises FileRefused if it cannot."""
        return S3Folder(self._url).look("ROWBOAT_BACKUPS")

    def _keys(self) -> list[str]:
        """Return all keys without the shelf's prefix."""
        return [found.key[len(self._url.prefix) :] for found in s3.list_objects(self._url)]

    def _empty(self, name: str) -> None:
        """Delete all objects of a set, the manifest first and the mark last."""
        s3.delete_object(self._at(name, MANIFEST))
        for found in s3.list_objects(self._at(name)):
            s3.delete_object(S3Url(self._url.bucket, found.key))
        with suppress(s3.Failure):  # some servers cannot list uploads, some roles may not
            s3.abort_uploads(self._at(name))
        s3.delete_object(self._mark(name))

    def _at(self, name: str, file: str = "") -> S3Url:
        key = f"{self._url.prefix}{name}"
        return S3Url(self._url.bucket, f"{key}/{file}" if file else key)

    def _mark(self, name: str) -> S3Url:
        return self._at(f".{name}.part")


class S3Aside:
    """A set whose files are in place, but whose manifest is not written yet."""

    def __init__(self, url: S3Url) -> None:
        self._url = url

    @contextmanager
    def file(self, name: str) -> Iterator[MultipartUpload]:
        """Upload a file; the end of the block completes it."""
        upload = MultipartUpload(S3Url(self._url.bucket, f"{self._url.prefix}{name}"))
        try:
            yield upload
            upload.keep()
        finally:
            upload.leave()

    def publish(self, manifest: bytes, pinned: bool) -> None:
        """Write the manifest: from now on the set exists and is whole."""
        if pinned:
            with self.file(PINNED):
                pass
        with self.file(MANIFEST) as file:
            file.write(manifest)


def _names(keys: list[str]) -> list[str]:
    found = (_SET.fullmatch(key) for key in keys)
    return sorted(each[1] for each in found if each)
