"""raw_data as a prefix of a bucket; S3 shows an object only when it is complete."""

from collections.abc import Iterator
from pathlib import Path

from rowboat.address import Address, S3Url
from rowboat.errors import FileRefused, reason, remedy
from rowboat.settings import settings
from rowboat.storage import s3
from rowboat.storage.disk import DiskFolder
from rowboat.storage.file_names import is_left_out, unprintable
from rowboat.storage.interfaces import StoredFile
from rowboat.storage.s3 import FoundObject, MultipartUpload

_POLL = 10.0  # seconds; each listing costs money


class S3Folder:
    """The objects below a prefix, as a folder of files."""

    settle = 0.0

    def __init__(self, url: S3Url) -> None:
        self._url = url
        self.poll = settings().poll or _POLL

    def entries(self) -> Iterator[StoredFile]:
        """Yield all files but those left out; raises FileRefused."""
        try:
            for found in s3.list_objects(self._url):
                file = self._stored_file(found)
                if not file.name.endswith("/") and not any(map(is_left_out, _parts(file))):
                    yield file
        except OSError as error:
            raise self._refused(error) from error

    def entry(self, path: Address) -> StoredFile:
        """Return one object, or a file of this machine, even if there is no such file."""
        if isinstance(path, Path):
            if path.is_absolute() or path.exists():
                return DiskFolder(path.parent / "elsewhere").entry(path)
            path = S3Url(self._url.bucket, f"{self._url.prefix}{path.as_posix()}")
        if path.bucket != self._url.bucket or not path.key.startswith(self._url.prefix):
            wrong = f"is not in {self._url}"
            return StoredFile(str(path), path, 0, "", wrong, "name a file of raw_data")
        try:
            return self._stored_file(s3.stat_object(path))
        except OSError as error:
            name, wrong = path.key[len(self._url.prefix) :], f"cannot be read: {reason(error)}"
            return StoredFile(name, path, 0, "", wrong, remedy(error, "check the path"))

    def name(self, given: str) -> str:
        """Return a file's name in ingest_status, given its name, path or URL."""
        if given.startswith(f"{self._url}/"):
            return given[len(f"{self._url}/") :]
        return str(Path(given).absolute()) if Path(given).exists() else given

    def arriving(self, name: str, overwrite: bool) -> "S3Incoming":
        """Start to receive a file; raises FileExistsError."""
        url = S3Url(self._url.bucket, f"{self._url.prefix}{name}")
        if not overwrite and s3.object_exists(url):
            raise FileExistsError
        return S3Incoming(url, overwrite)

    def look(self, setting: str) -> str:
        """Return a sentence that the prefix can be listed; raises FileRefused if it cannot."""
        try:
            next(s3.list_objects(self._url, most=1), None)
        except OSError as error:
            raise self._refused(error, f"correct {setting}") from error
        return f"{self._url} can be listed"

    def _stored_file(self, found: FoundObject) -> StoredFile:
        name = found.key[len(self._url.prefix) :]
        problem = unprintable(name)
        if name.startswith("/"):
            problem = "has a name that begins with a slash"
        path = S3Url(self._url.bucket, found.key)
        return StoredFile(name, path, found.size, found.version, problem)

    def _refused(self, error: OSError, usual: str = "look at it and run it again") -> FileRefused:
        return FileRefused(f"{self._url} cannot be read: {reason(error)}", remedy(error, usual))


class S3Incoming:
    """A file being received into a bucket."""

    def __init__(self, url: S3Url, overwrite: bool) -> None:
        self._upload, self._overwrite = MultipartUpload(url), overwrite
        self.write, self.leave = self._upload.write, self._upload.leave

    def keep(self) -> None:
        """Make the file visible; raises FileExistsError."""
        self._upload.keep(self._overwrite)


def _parts(file: StoredFile) -> list[str]:
    return file.name.split("/")
