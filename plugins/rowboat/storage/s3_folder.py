"""A folder of files that is a prefix of a bucket: its objects come, and go, whole."""

from collections.abc import Iterator
from pathlib import Path

from rowboat.address import Address, S3Url
from rowboat.errors import FileRefused, reason, remedy
from rowboat.settings import settings
from rowboat.storage import s3
from rowboat.storage.disk import DiskFolder
from rowboat.storage.file_names import is_left_out, unprintable
from rowboat.storage.interfaces import StoredFile
from rowboat.storage.s3 import Found, Upload

_POLL = 10.0  # seconds: a listing is paid for


class BucketFolder:
    """All objects whose keys begin so."""

    settle = 0.0

    def __init__(self, url: S3Url) -> None:
        self._url = url
        self.poll = settings().poll or _POLL

    def entries(self) -> Iterator[StoredFile]:
        """List all that lies there, hidden and unfinished files left out; raises FileRefused."""
        try:
            for found in s3.listing(self._url):
                lying = self._lying(found)
                if not lying.name.endswith("/") and not any(map(is_left_out, _parts(lying))):
                    yield lying
        except OSError as error:
            raise self._refused(error) from error

    def entry(self, path: Address) -> StoredFile:
        """Look at one object, or at a file of this machine; raises FileRefused."""
        if isinstance(path, Path):
            if path.is_absolute() or path.exists():
                return DiskFolder(path.parent / "elsewhere").entry(path)
            path = S3Url(self._url.bucket, f"{self._url.prefix}{path.as_posix()}")
        if path.bucket != self._url.bucket or not path.key.startswith(self._url.prefix):
            raise FileRefused(f"{path} is not in {self._url}", "name a file of raw_data")
        try:
            return self._lying(s3.look(path))
        except OSError as error:
            raise FileRefused(
                f"{path} cannot be read: {reason(error)}", remedy(error, "check the path")
            ) from error

    def name(self, given: str) -> str:
        """Return the name that a file has in ingest_status, for a name, a path or a URL."""
        if given.startswith(f"{self._url}/"):
            return given[len(f"{self._url}/") :]
        return str(Path(given).absolute()) if Path(given).exists() else given

    def arriving(self, name: str, overwrite: bool) -> "Arriving":
        """Begin to take a file; raises FileExistsError."""
        url = S3Url(self._url.bucket, f"{self._url.prefix}{name}")
        if not overwrite and s3.exists(url):
            raise FileExistsError
        return Arriving(url, overwrite)

    def look(self, setting: str) -> str:
        """Tell that it can be listed; raises FileRefused where it cannot."""
        try:
            next(s3.listing(self._url, most=1), None)
        except OSError as error:
            raise self._refused(error, f"correct {setting}") from error
        return f"{self._url} can be listed"

    def _lying(self, found: Found) -> StoredFile:
        name = found.key[len(self._url.prefix) :]
        problem = unprintable(name)
        if name.startswith("/"):
            problem = "has a name that begins with a slash"
        path = S3Url(self._url.bucket, found.key)
        return StoredFile(name, path, found.size, found.version, problem)

    def _refused(self, error: OSError, usual: str = "look at it and run it again") -> FileRefused:
        return FileRefused(f"{self._url} cannot be read: {reason(error)}", remedy(error, usual))


class Arriving:
    """A file on its way into a bucket."""

    def __init__(self, url: S3Url, overwrite: bool) -> None:
        self._upload, self._overwrite = Upload(url), overwrite
        self.write, self.leave = self._upload.write, self._upload.leave

    def keep(self) -> None:
        """Let it be there; raises FileExistsError."""
        self._upload.keep(self._overwrite)


def _parts(lying: StoredFile) -> list[str]:
    return lying.name.split("/")
