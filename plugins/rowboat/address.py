"""Addresses of files and folders: a path on this machine, or a key in an S3 bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

_URL = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]+)(?:/(.*))?")


@dataclass(frozen=True)
class S3Url:
    """An S3 object, or the folder of all objects whose keys begin with `key` and a slash.

    It supports what Rowboat uses of a Path: `/`, `name` and `absolute()`.
    """

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "Address":
        if name.startswith("/"):
            return Path(name)  # as Path("a") / "/b" does: an absolute path replaces the whole
        return S3Url(self.bucket, f"{self.prefix}{name}")

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def prefix(self) -> str:
        """The beginning of all keys in this folder; empty for the whole bucket."""
        return self.key and f"{self.key}/"

    def absolute(self) -> "S3Url":
        """Return the URL itself: it is always absolute."""
        return self


Address: TypeAlias = Path | S3Url


def parse_address(text: str) -> Address:
    """Return the address that a path or s3:// URL names; raises ValueError for other URLs."""
    if found := _URL.fullmatch(text):
        return S3Url(found[1], (found[2] or "").strip("/"))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise ValueError("must be a folder or s3://bucket/prefix")
    return Path(text)
