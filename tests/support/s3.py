"""A server that speaks S3 over HTTP, with a bucket of the test's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging import getLogger
from typing import Any
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.session import get_session
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import s3_backends

from rowboat.settings import settings
from rowboat.storage.s3 import Credentials, _make_client, use_credentials

Answer = tuple[int, str]  # status and code of an error
OURSELVES = "the-test"
USER, SECRET, REGION = "rower", "a-secret-of-the-test", "us-east-1"


class Requests:
    """Stands before the server: keeps what was asked and does as it is told.

    `asked` are (method, path with query, headers); `refuse` is given each of them and may return a
    status and the code of an error; `before` is called before a request is passed on; `cut` tells
    that the connection is to break before the last byte of an answer.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.refuse: Callable[[str, str], Answer | None] = lambda *_: None
        self.before: Callable[[str, str], object] = lambda *_: None
        self.cut: Callable[[str, str], bool] = lambda *_: False

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        path = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}".removesuffix("?")
        method = environ["REQUEST_METHOD"]
        headers = {
            name[5:].lower().replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if headers["user-agent"] == OURSELVES:
            return self._app(environ, start)
        self.asked.append((method, path, headers))
        self.before(method, path)
        if refused := self.refuse(method, path):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{refused[0]} No", [("Content-Type", "application/xml")])
            body = f"<Error><Code>{refused[1]}</Code><Message>no</Message></Error>"
            return [] if method == "HEAD" else [body.encode()]
        answer = self._app(environ, start)
        return [b"".join(answer)[:-1]] if self.cut(method, path) else answer

    def ranges(self, name: str) -> list[tuple[int, int]]:
        """Return (first, last) byte of every part of a file that was asked for."""
        found = [
            each[2]["range"].removeprefix("bytes=").split("-")
            for each in self.asked
            if each[0] == "GET" and each[1].endswith(name) and "range" in each[2]
        ]
        return [(int(first), int(last)) for first, last in found]


@dataclass
class Bucket:
    """A bucket, seen by somebody else than Rowboat."""

    name: str
    endpoint: str
    requests: Requests
    client: Any

    @property
    def url(self) -> str:
        """Its URL."""
        return f"s3://{self.name}"

    def put(self, key: str, body: str | bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def fill(self, *keys: str) -> None:
        """Write many empty objects at once, by any key."""
        for key in keys:
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(self.name, key, b"")

    def get(self, key: str) -> bytes:
        """Read an object."""
        found: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return found

    def remove(self, key: str) -> None:
        """Take an object away."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        """List all keys, the first thousand."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def uploads(self) -> list[str]:
        """List the keys of uploads that have neither ended nor been aborted."""
        found = self.client.list_multipart_uploads(Bucket=self.name)
        return [each["Key"] for each in found.get("Uploads", [])]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[str, Requests, Any]]:
    """The server's address, what stands before it, and a client that is not Rowboat's."""
    getLogger("werkzeug").setLevel("ERROR")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    requests = Requests(server._server.app)
    server._server.app = requests
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = get_session().create_client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=USER,
        aws_secret_access_key=SECRET,
        config=Config(user_agent=OURSELVES, s3={"addressing_style": "path"}),
    )  # fmt: skip
    yield endpoint, requests, client
    client.close()
    server.stop()


@pytest.fixture
def bucket(
    s3_server: tuple[str, Requests, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """An empty bucket, and the settings by which Rowboat finds the server."""
    endpoint, requests, client = s3_server
    known = {
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROWBOAT_S3_ENDPOINT": endpoint,
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    _make_client.cache_clear()  # what a test before made with other credentials
    name = f"test-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    requests.reset()
    yield Bucket(name, endpoint, requests, client)
    requests.reset()
    use_credentials(Credentials())
    settings.cache_clear()
