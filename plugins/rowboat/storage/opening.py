"""Chooses what an address asks for: this machine's disk, or a bucket.

What speaks S3 takes its time to import, so only those who use it do.
"""

from pathlib import Path

from rowboat.address import Address
from rowboat.storage import disk
from rowboat.storage.disk_shelf import DiskShelf
from rowboat.storage.interfaces import Folder, OpenedFile, Shelf


def open_file(at: Address) -> OpenedFile:
    """Open a file as it is at this moment; raises OSError."""
    if isinstance(at, Path):
        return disk.DiskFile(at)
    from rowboat.storage.s3 import S3Object

    return S3Object(at)


def wait_until_still(at: Address) -> None:
    """Wait until nobody writes a file any more; an object is written in one moment.

    Raises FileChanged when that takes too long.
    """
    if isinstance(at, Path):
        disk.wait_until_still(at)


def open_folder(at: Address) -> Folder:
    """Return a folder of files."""
    if isinstance(at, Path):
        return disk.DiskFolder(at)
    from rowboat.storage.s3_folder import S3Folder

    return S3Folder(at)


def open_shelf(at: Address) -> Shelf:
    """Return a shelf of backups."""
    if isinstance(at, Path):
        return DiskShelf(at)
    from rowboat.storage.s3_shelf import S3Shelf

    return S3Shelf(at)
