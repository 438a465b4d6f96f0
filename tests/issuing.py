"""An OpenID Connect issuer on this machine, with keys of its own."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "rowboat"


class LocalIssuer:
    """Answers with its discovery document and its keys, signs tokens, notes what it is asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.keys: dict[str, RSAKey | ECKey] = {}
        self.asked: list[str] = []
        self.documents: dict[str, Any] = {}
        self.rotate("first")

    def rotate(self, kid: str, kind: str = "RSA") -> None:
        """Replace all keys by a new one."""
        if kind == "RSA":
            self.keys = {kid: RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})}
        else:
            self.keys = {kid: ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"})}
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.address,
                "jwks_uri": f"{self.address}/keys",
            },
            "/keys": {"keys": [key.as_dict(private=False) for key in self.keys.values()]},
        }

    def claims(self, **other: Any) -> dict[str, Any]:
        """Return the claims of a good token, some of them other; None leaves one out."""
        now = int(time.time())
        good = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": now + 300,
            "nbf": now,
            "scope": "openid rowboat:read",
        }
        return {name: value for name, value in (good | other).items() if value is not None}

    def token(self, **other: Any) -> str:
        """Return a good token, or one whose claims are other."""
        [(kid, key)] = self.keys.items()
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        return jwt.encode(
            {"alg": algorithm, "kid": kid}, self.claims(**other), key, [algorithm]
        )  # fmt: skip


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """Run an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            found = made.documents.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = LocalIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
