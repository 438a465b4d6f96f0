"""Sign-in at an OpenID Connect issuer: authorization code flow with PKCE (RFC 7636)."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx

from rowboat.access.keys import SCOPES, Key
from rowboat.access.oidc_tokens import Issuer
from rowboat.errors import IssuerDown, KeyRefused
from rowboat.settings import settings

_PATIENCE = 5.0  # seconds that the issuer has to answer
_REFUSED = 400, 401, 403  # statuses of a refused code (RFC 6749, section 5.2)
_SCOPE = ("scope", "scp")  # claims for which a client must request scopes


@dataclass(frozen=True)
class Attempt:
    """One attempt to sign in: secrets that only this visitor has, and the URL to return to."""

    state: str
    nonce: str
    verifier: str
    back: str


@dataclass(frozen=True)
class SignInClient:
    """The console as a client of the issuer; a public client has no secret."""

    issuer: Issuer
    id: str
    secret: str | None

    def address(self, attempt: Attempt) -> str:
        """Return the URL of the issuer's sign-in page; raises IssuerDown.

        Rowboat's scopes are requested only if they are in a scope claim; roles, for example, are
        assigned by the issuer.
        """
        scopes = [f"rowboat:{each}" for each in SCOPES] if self.issuer.claim in _SCOPE else []
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": attempt.back,
            "scope": " ".join(["openid", *scopes]),
            "audience": self.issuer.audience,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = self.issuer.endpoint("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def caller(self, code: str, attempt: Attempt) -> Key:
        """Return who has signed in; raises KeyRefused, Forbidden without a scope, IssuerDown.

        The ID token proves that this visitor has signed in. The scopes are in the token for
        Rowboat's audience: the access token, or the ID token if the console is that audience.
        """
        tokens = self._tokens(code, attempt)
        identity = tokens["id_token"]
        claims = self.issuer.claims(identity, self.id, nonce=attempt.nonce)
        ours = identity if self.id == self.issuer.audience else tokens["access_token"]
        found = self.issuer.caller(ours)
        # OpenID Connect Core, section 3.1.3.7: `azp`, if present, must be the client.
        if claims.get("azp", self.id) != self.id or claims["sub"] != found.name:
            raise KeyRefused("the issuer's tokens belong to different people", "sign in again")
        return found

    def _tokens(self, code: str, attempt: Attempt) -> dict[str, str]:
        """Exchange a code for tokens."""
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.back,
            "code_verifier": attempt.verifier,
            **({} if self.secret else {"client_id": self.id}),
        }
        # RFC 6749, section 2.3.1: both parts are form-encoded before Basic authentication.
        auth = (
            httpx.BasicAuth(quote_plus(self.id), quote_plus(self.secret)) if self.secret else None
        )
        address = self.issuer.endpoint("token_endpoint")
        try:
            answer = httpx.post(address, data=sent, auth=auth, timeout=_PATIENCE)
            if answer.status_code in _REFUSED:
                raise KeyRefused("the issuer does not know this sign-in", "sign in again")
            found: dict[str, Any] = answer.raise_for_status().json()
            return {name: str(found[name]) for name in ("id_token", "access_token")}
        except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
            raise IssuerDown("the issuer of tokens cannot be asked who signed in") from error


def client_of_settings(issuer: Issuer | None) -> SignInClient | None:
    """Return the client in the settings; None without one, or without an issuer."""
    now = settings()
    if issuer is None or now.oidc_client_id is None:
        return None
    secret = now.oidc_client_secret
    return SignInClient(issuer, now.oidc_client_id, secret.get_secret_value() if secret else None)
