"""An OpenID Connect issuer on this machine, with keys of its own."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "rowboat"
CLIENT, PASSWORD = "the console", "open: sesame/1"


class LocalIssuer:
    """Answers with its discovery document and its keys, signs tokens, notes what it is asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.keys: dict[str, RSAKey | ECKey] = {}
        self.asked: list[str] = []
        self.documents: dict[str, Any] = {}
        self.begun: dict[str, dict[str, str]] = {}  # by code what was asked for
        self.exchanged: list[dict[str, str]] = []
        self.password: str | None = PASSWORD
        self.identity: dict[str, Any] = {}  # claims of the ID token that are other
        self.access: dict[str, Any] = {}  # those of the access token
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
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
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

    def authorize(self, asked: dict[str, str]) -> str:
        """Sign somebody in without asking; return where he is led back to."""
        code = secrets.token_hex(8)
        self.begun[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, sent: dict[str, str], authorization: str | None) -> dict[str, Any] | None:
        """Return tokens for a code, once, to who began and proves it; None to others."""
        self.exchanged.append(sent)
        asked = self.begun.pop(sent.get("code", ""), {})
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (asked.get("code_challenge"), asked.get("redirect_uri"), asked.get("client_id")) != (
            challenge,
            sent.get("redirect_uri"),
            _client(authorization, self.password) or sent.get("client_id"),
        ):
            return None
        identity = {"aud": CLIENT, "nonce": asked["nonce"], "scope": None} | self.identity
        return {"id_token": self.token(**identity), "access_token": self.token(**self.access)}


def _client(authorization: str | None, password: str | None) -> str | None:
    """Return who shows the right password; it must be shown where there is one."""
    if password is None:
        return None
    expected = base64.b64encode(urlencode({CLIENT: password}).replace("=", ":").encode()).decode()
    return CLIENT if authorization == f"Basic {expected}" else "somebody"


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """Run an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            made.asked.append(address.path)
            if address.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", made.authorize(dict(parse_qsl(address.query))))
                self.end_headers()
                return
            found = made.documents.get(self.path)
            self._answer(found, 200 if found is not None else 404)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = made.exchange(dict(parse_qsl(sent)), self.headers["Authorization"])
            self._answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def _answer(self, found: Any, status: int) -> None:
            body = json.dumps(found).encode()
            self.send_response(status)
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
