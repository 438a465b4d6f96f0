"""Access to S3 through boto3: listings, reads pinned to an ETag, uploads that appear whole.

Every failure is an OSError: its strerror is a sentence, its `hint` says what to do.
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

RANGE = 8 * 2**20  # bytes requested at once
_PART = 8 * 2**20  # bytes of an uploaded part; later parts are larger, as S3 allows 10,000 parts
_TRIES = 4  # attempts at a request, with growing pauses between them
_WRITES = {"put_object", "create_multipart_upload"}  # requests that set how the object is encrypted
_GONE = {"NoSuchKey", "NoSuchUpload", "NotFound", "404"}
_REPLACED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_WORDS = (
    ({"NoSuchBucket"}, "there is no bucket {bucket}", "create it, or correct the URL"),
    ({"AccessDenied", "Forbidden", "403", "AllAccessDisabled"}, "access is denied",
     "give the credentials the rights that docs/s3.md lists"),
    ({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
      "ExpiredTokenException", "TokenRefreshRequired"}, "the credentials are not accepted",
     "renew or correct them; docs/s3.md lists the places they are read from"),
    ({"SlowDown", "ServiceUnavailable", "503", "TooManyRequests", "429", "RequestLimitExceeded"},
     "the server asks to slow down", "try again in a minute"),
    ({"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"},
     "the bucket {bucket} is in another region", "set AWS_DEFAULT_REGION to the bucket's"),
)  # fmt: skip


class Failure(OSError):
    """A request that S3 refused, or that could not reach it."""

    def __init__(self, number: int, sentence: str, hint: str) -> None:
        super().__init__(number, sentence)
        self.hint = hint


@dataclass(frozen=True)
class Credentials:
    """Credentials given explicitly; for each that is None, AWS's usual chain is used."""

    key: str | None = None
    secret: str | None = None
    token: str | None = None
    region: str | None = None
    endpoint: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(region={self.region}, endpoint={self.endpoint})"


@dataclass(frozen=True)
class FoundObject:
    """An object's key, size in bytes, ETag and time, as S3 lists it."""

    key: str
    size: int
    version: str
    time: datetime


_given = Credentials()


def use_credentials(credentials: Credentials) -> None:
    """Use these credentials in this process from now on."""
    global _given
    _given = credentials


def call_s3(method: str, url: S3Url, **values: Any) -> Any:
    """Send one request of S3's API for a bucket; raises OSError."""
    with _wording_errors(url):
        if method in _WRITES:
            values |= _encryption()
        return getattr(_client(), method)(Bucket=url.bucket, **values)


def list_objects(url: S3Url, most: int = 1000) -> Iterator[FoundObject]:
    """Yield all objects below a prefix in the order of keys, fetching up to `most` at a time."""
    values: dict[str, Any] = {"Prefix": url.prefix, "MaxKeys": most}
    while True:
        page = call_s3("list_objects_v2", url, **values)
        for each in page.get("Contents", []):
            yield FoundObject(
                each["Key"], each["Size"], each["ETag"].strip('"'), each["LastModified"]
            )
        if not page.get("IsTruncated"):
            return
        values["ContinuationToken"] = page["NextContinuationToken"]


def stat_object(url: S3Url) -> FoundObject:
    """Return size, ETag and time of one object; raises FileNotFoundError or another OSError."""
    found = call_s3("head_object", url, Key=url.key)
    version = found["ETag"].strip('"')
    return FoundObject(url.key, found["ContentLength"], version, found["LastModified"])


def object_exists(url: S3Url) -> bool:
    """Return whether the object exists."""
    try:
        stat_object(url)
    except FileNotFoundError:
        return False
    return True


def put_object(url: S3Url, content: bytes = b"") -> None:
    """Write a small object in one request."""
    call_s3("put_object", url, Key=url.key, Body=content)


def delete_object(url: S3Url) -> None:
    """Delete an object; does nothing if there is none."""
    call_s3("delete_object", url, Key=url.key)


def abort_uploads(url: S3Url) -> None:
    """Abort all multipart uploads below a prefix, which also deletes their parts."""
    page = call_s3("list_multipart_uploads", url, Prefix=url.prefix)
    for each in page.get("Uploads", []):
        call_s3("abort_multipart_upload", url, Key=each["Key"], UploadId=each["UploadId"])


class S3Object(OpenedFile):
    """An object opened for reading. Raises ESTALE if it has been replaced since it was opened."""

    def __init__(self, url: S3Url) -> None:
        found = stat_object(url)
        super().__init__(_Ranges(url, found), RANGE)
        self.size, self.version = found.size, found.version


class _Ranges(RawIOBase):
    def __init__(self, url: S3Url, found: FoundObject) -> None:
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
    """Fetch a range; a transfer that breaks off is started again."""
    for left in reversed(range(_TRIES)):
        answer = call_s3("get_object", url, Key=url.key, **pinned)
        try:
            with _wording_errors(url), closing(answer["Body"]) as body:
                content: bytes = body.read()
                return content
        except OSError:
            if not left:
                raise
    raise AssertionError


class MultipartUpload:
    """An object being uploaded in parts; it becomes visible only when `keep` is called."""

    def __init__(self, url: S3Url) -> None:
        self._url, self._waiting, self._id = url, bytearray(), ""
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        """Add bytes; full parts are sent at once."""
        self._waiting += data
        while len(self._waiting) >= (size := _PART * (1 + len(self._parts) // 1000)):
            self._send(size)
        return len(data)

    def keep(self, overwrite: bool = True) -> None:
        """Make the object visible, atomically; raises FileExistsError."""
        values: dict[str, Any] = {"Key": self._url.key}
        if not overwrite:
            if object_exists(self._url):  # some servers ignore If-None-Match
                raise FileExistsError
            values["IfNoneMatch"] = "*"
        try:
            if not self._id:
                call_s3("put_object", self._url, Body=bytes(self._waiting), **values)
                return
            if self._waiting:
                self._send(len(self._waiting))
            parts = {"UploadId": self._id, "MultipartUpload": {"Parts": self._parts}}
            call_s3("complete_multipart_upload", self._url, **parts, **values)
            self._id = ""
        except OSError as error:
            if overwrite or error.errno != errno.ESTALE:
                raise
            raise FileExistsError from error

    def leave(self) -> None:
        """Discard the upload unless it has been kept."""
        if self._id:
            with suppress(OSError):
                values = {"Key": self._url.key, "UploadId": self._id}
                call_s3("abort_multipart_upload", self._url, **values)
            self._id = ""

    def _send(self, size: int) -> None:
        if not self._id:
            begun = call_s3("create_multipart_upload", self._url, Key=self._url.key)
            self._id = begun["UploadId"]
        part: dict[str, Any] = {"PartNumber": len(self._parts) + 1}
        body = bytes(self._waiting[:size])
        values = {"Key": self._url.key, "UploadId": self._id, "Body": body}
        sent = call_s3("upload_part", self._url, **values, **part)
        sums = [name for name in sent if name.startswith("Checksum") and name != "ChecksumType"]
        self._parts.append(part | {name: sent[name] for name in ("ETag", *sums)})
        del self._waiting[:size]


def _encryption() -> dict[str, str]:
    now = settings()
    asked = {"ServerSideEncryption": now.s3_encryption, "SSEKMSKeyId": now.s3_kms_key}
    return {name: value for name, value in asked.items() if value}


def _client() -> Any:
    """Return this process's client: threads share it, a forked process makes its own."""
    return _make_client(os.getpid(), _given, settings().s3_endpoint or _given.endpoint)


@cache
def _make_client(_process: int, given: Credentials, endpoint: str | None) -> Any:
    return Session().client(  # clients may be shared by threads, boto3's default session may not
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
def _wording_errors(url: S3Url) -> Iterator[None]:
    """Raise the errors of botocore and urllib3 as OSErrors with our words; the cause is kept."""
    try:
        yield
    except (OSError, boto.ClientError, boto.BotoCoreError, BrokenTransfer) as error:
        raise _as_os_error(url, error) from error


def _as_os_error(url: S3Url, error: Exception) -> OSError:
    code = str(error.response["Error"]["Code"]) if isinstance(error, boto.ClientError) else ""
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is no such object")
    if code in _REPLACED:
        hint = "wait until it is completely written, then run it again"
        return Failure(errno.ESTALE, "it was replaced while it was read", hint)
    for codes, sentence, hint in _WORDS:
        if code in codes:
            return Failure(errno.EIO, sentence.format(bucket=url.bucket), hint)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role"
        return Failure(errno.EIO, "there are no credentials for S3", hint)
    if code:
        return Failure(errno.EIO, f"the server answers {code}", "look in the server's log")
    if isinstance(error, boto.ParamValidationError | boto.ProfileNotFound | boto.ConfigParseError):
        return Failure(errno.EIO, str(error).splitlines()[0], "correct the configuration of AWS")
    where = settings().s3_endpoint or _given.endpoint or "S3"
    hint = "check the network and ROWBOAT_S3_ENDPOINT"
    return Failure(errno.EIO, f"{where} does not answer", hint)
