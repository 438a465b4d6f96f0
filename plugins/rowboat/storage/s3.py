"""S3 by boto3: listed, read in ranges that are pinned to an ETag, written so that it appears whole.

Whatever fails is an OSError whose strerror is a sentence; `hint` tells what to do.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import RawIOBase
from typing import Any

from boto3.session import Session
from botocore import exceptions as boto
from botocore.config import Config
from urllib3.exceptions import HTTPError as BrokenTransfer  # botocore words most of them, not all

from rowboat.address import S3Url
from rowboat.settings import settings
from rowboat.storage.interfaces import OpenedFile

RANGE = 8 * 2**20  # bytes that are asked for at once
_PART = 8 * 2**20  # bytes of a part that is uploaded; they grow, for there may be 10,000
_TRIES = 4  # of a request; between them are seconds that grow
_WRITES = {"put_object", "create_multipart_upload"}  # they say how the object is encrypted
_GONE = {"NoSuchKey", "NoSuchUpload", "NotFound", "404"}
_ELSE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_SPOKEN = (
    ({"NoSuchBucket"}, "there is no bucket {bucket}", "make it, or correct the URL"),
    ({"AccessDenied", "Forbidden", "403", "AllAccessDisabled"}, "access is denied",
     "give the credentials the rights that docs/s3.md lists"),
    ({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
      "ExpiredTokenException", "TokenRefreshRequired"}, "the credentials are not accepted",
     "renew them, or correct them where they come from: docs/s3.md tells where"),
    ({"SlowDown", "ServiceUnavailable", "503", "TooManyRequests", "429", "RequestLimitExceeded"},
     "the server asks to slow down", "try it again in a minute"),
    ({"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"},
     "the bucket {bucket} is in another region", "set AWS_DEFAULT_REGION to the bucket's"),
)  # fmt: skip


class Failure(OSError):
    """What S3 refused, or why it could not be asked."""

    def __init__(self, number: int, sentence: str, hint: str) -> None:
        super().__init__(number, sentence)
        self.hint = hint


@dataclass(frozen=True)
class Credentials:
    """What is given by hand; where nothing is, the usual chain of AWS holds."""

    key: str | None = None
    secret: str | None = None
    token: str | None = None
    region: str | None = None
    endpoint: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(region={self.region}, endpoint={self.endpoint})"


@dataclass(frozen=True)
class Found:
    """An object as a listing or a look at it shows it."""

    key: str
    size: int
    version: str
    time: datetime


_given = Credentials()


def use(credentials: Credentials) -> None:
    """Let this process use these from now on."""
    global _given
    _given = credentials


def call(method: str, url: S3Url, **values: Any) -> Any:
    """Make one request of S3's API about a bucket; raises OSError."""
    with _spoken(url):
        if method in _WRITES:
            values |= _encryption()
        return getattr(_client(), method)(Bucket=url.bucket, **values)


def listing(url: S3Url, most: int = 1000) -> Iterator[Found]:
    """List all objects whose keys begin so, by key, a page of at most `most` at a time."""
    values: dict[str, Any] = {"Prefix": url.prefix, "MaxKeys": most}
    while True:
        page = call("list_objects_v2", url, **values)
        for each in page.get("Contents", []):
            yield Found(each["Key"], each["Size"], each["ETag"].strip('"'), each["LastModified"])
        if not page.get("IsTruncated"):
            return
        values["ContinuationToken"] = page["NextContinuationToken"]


def look(url: S3Url) -> Found:
    """Look at one object; raises FileNotFoundError, or another OSError."""
    found = call("head_object", url, Key=url.key)
    version = found["ETag"].strip('"')
    return Found(url.key, found["ContentLength"], version, found["LastModified"])


def exists(url: S3Url) -> bool:
    """Tell whether there is such an object."""
    try:
        look(url)
    except FileNotFoundError:
        return False
    return True


def put(url: S3Url, content: bytes = b"") -> None:
    """Write a small object."""
    call("put_object", url, Key=url.key, Body=content)


def remove(url: S3Url) -> None:
    """Take an object away, where it is there."""
    call("delete_object", url, Key=url.key)


def abort_uploads(url: S3Url) -> None:
    """End all uploads of objects whose keys begin so; what they hold goes away."""
    page = call("list_multipart_uploads", url, Prefix=url.prefix)
    for each in page.get("Uploads", []):
        call("abort_multipart_upload", url, Key=each["Key"], UploadId=each["UploadId"])


class Object(OpenedFile):
    """An object opened for reading, in ranges: only that version of it, or ESTALE."""

    def __init__(self, url: S3Url) -> None:
        found = look(url)
        super().__init__(_Ranges(url, found), RANGE)
        self.size, self.version = found.size, found.version


class _Ranges(RawIOBase):
    def __init__(self, url: S3Url, found: Found) -> None:
        self._url, self._found, self._at = url, found, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._found.size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._found.size)
        if end <= self._at:
            return 0
        pinned = {"IfMatch": f'"{self._found.version}"', "Range": f"bytes={self._at}-{end - 1}"}
        content = _content(self._url, pinned)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def _content(url: S3Url, pinned: dict[str, str]) -> bytes:
    """Get a range; a transfer that breaks is begun again."""
    for left in reversed(range(_TRIES)):
        answer = call("get_object", url, Key=url.key, **pinned)
        try:
            with _spoken(url), closing(answer["Body"]) as body:
                content: bytes = body.read()
                return content
        except OSError:
            if not left:
                raise
    raise AssertionError


class Upload:
    """An object on its way: parts go out as they fill, and nobody sees it before it is kept."""

    def __init__(self, url: S3Url) -> None:
        self._url, self._waiting, self._id = url, bytearray(), ""
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._waiting += data
        while len(self._waiting) >= (size := _PART * (1 + len(self._parts) // 1000)):
            self._send(size)
        return len(data)

    def keep(self, overwrite: bool = True) -> None:
        """Let the object be there, in one moment; raises FileExistsError."""
        values: dict[str, Any] = {"Key": self._url.key}
        if not overwrite:
            if exists(self._url):  # for servers that do not know the condition
                raise FileExistsError
            values["IfNoneMatch"] = "*"
        try:
            if not self._id:
                call("put_object", self._url, Body=bytes(self._waiting), **values)
                return
            if self._waiting:
                self._send(len(self._waiting))
            parts = {"UploadId": self._id, "MultipartUpload": {"Parts": self._parts}}
            call("complete_multipart_upload", self._url, **parts, **values)
            self._id = ""
        except OSError as error:
            if overwrite or error.errno != errno.ESTALE:
                raise
            raise FileExistsError from error

    def leave(self) -> None:
        """Take away what has not been kept."""
        if self._id:
            with suppress(OSError):
                values = {"Key": self._url.key, "UploadId": self._id}
                call("abort_multipart_upload", self._url, **values)
            self._id = ""

    def _send(self, size: int) -> None:
        if not self._id:
            begun = call("create_multipart_upload", self._url, Key=self._url.key)
            self._id = begun["UploadId"]
        part: dict[str, Any] = {"PartNumber": len(self._parts) + 1}
        body = bytes(self._waiting[:size])
        values = {"Key": self._url.key, "UploadId": self._id, "Body": body}
        sent = call("upload_part", self._url, **values, **part)
        sums = [name for name in sent if name.startswith("Checksum") and name != "ChecksumType"]
        self._parts.append(part | {name: sent[name] for name in ("ETag", *sums)})
        del self._waiting[:size]


def _encryption() -> dict[str, str]:
    now = settings()
    asked = {"ServerSideEncryption": now.s3_encryption, "SSEKMSKeyId": now.s3_kms_key}
    return {name: value for name, value in asked.items() if value}


def _client() -> Any:
    """Return the client of this process: its threads share it, a fork has connections anew."""
    return _made(os.getpid(), _given, settings().s3_endpoint or _given.endpoint)


@cache
def _made(_process: int, given: Credentials, endpoint: str | None) -> Any:
    return Session().client(  # a session of its own: threads cannot share one
        "s3",
        aws_access_key_id=given.key,
        aws_secret_access_key=given.secret,
        aws_session_token=given.token,
        region_name=given.region,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
        ),
    )


@contextmanager
def _spoken(url: S3Url) -> Iterator[None]:
    """Turn the words of every layer below into ours; the cause is kept."""
    try:
        yield
    except (OSError, boto.ClientError, boto.BotoCoreError, BrokenTransfer) as error:
        raise _worded(url, error) from error


def _worded(url: S3Url, error: Exception) -> OSError:
    code = str(error.response["Error"]["Code"]) if isinstance(error, boto.ClientError) else ""
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is no such object")
    if code in _ELSE:
        hint = "wait until it is written, then run it again"
        return Failure(errno.ESTALE, "it was replaced while it was read", hint)
    for codes, sentence, hint in _SPOKEN:
        if code in codes:
            return Failure(errno.EIO, sentence.format(bucket=url.bucket), hint)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role"
        return Failure(errno.EIO, "there are no credentials for S3", hint)
    if code:
        return Failure(errno.EIO, f"the server answers {code}", "look into the server's log")
    if isinstance(error, boto.ParamValidationError | boto.ProfileNotFound | boto.ConfigParseError):
        return Failure(errno.EIO, str(error).splitlines()[0], "correct the configuration of AWS")
    where = settings().s3_endpoint or _given.endpoint or "S3"
    hint = "check the network and ROWBOAT_S3_ENDPOINT"
    return Failure(errno.EIO, f"{where} does not answer", hint)
