"""Where a file or a folder lies: a path of this machine, or a key of an S3 bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

_URL = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]+)(?:/(.*))?")


@dataclass(frozen=True)
class S3Url:
    """An object, or all whose keys begin with `key` and a slash; it is used like a Path."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "Address":
        if name.startswith("/"):
            return Path(name)  # as of a Path: it lies elsewhere, on this machine
        return S3Url(self.bucket, f"{self.prefix}{name}")

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    @property
    def prefix(self) -> str:
        """What the keys of all that lies in it begin with."""
        return self.key and f"{self.key}/"

    def absolute(self) -> "S3Url":
        """Return it as it is: it always is absolute."""
        return self


Address: TypeAlias = Path | S3Url


def parse_address(text: str) -> Address:
    """Read a path or an s3:// URL; raises ValueError for other URLs."""
    if found := _URL.fullmatch(text):
        return S3Url(found[1], (found[2] or "").strip("/"))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise ValueError("must be a folder or s3://bucket/prefix")
    return Path(text)
