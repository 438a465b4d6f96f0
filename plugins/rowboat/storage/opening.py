"""Opens what an address denotes, on this machine's disk or in an S3 bucket.

The modules for S3 are imported only if an address needs them, because that takes long.
"""

from pathlib import Path

from rowboat.address import Address
from rowboat.storage import disk
from rowboat.storage.disk_shelf import DiskShelf
from rowboat.storage.interfaces import Folder, OpenedFile, Shelf


def open_file(at: Address) -> OpenedFile:
    """Open a file as it is now; raises OSError."""
    if isinstance(at, Path):
        return disk.DiskFile(at)
    from rowboat.storage.s3 import S3Object

    return S3Object(at)


def wait_until_settled(at: Address) -> None:
    """Wait until a file is no longer being written; objects need not wait, they appear complete.

    Raises FileChanged if it takes too long.
    """
    if isinstance(at, Path):
        disk.wait_until_still(at)


def open_folder(at: Address) -> Folder:
    """Return the folder of files at an address."""
    if isinstance(at, Path):
        return disk.DiskFolder(at)
    from rowboat.storage.s3_folder import S3Folder

    return S3Folder(at)


def open_shelf(at: Address) -> Shelf:
    """Return the shelf of backups at an address."""
    if isinstance(at, Path):
        return DiskShelf(at)
    from rowboat.storage.s3_shelf import S3Shelf

    return S3Shelf(at)
