"""Signing in at an OpenID Connect issuer: authorization code flow with PKCE (RFC 7636)."""

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
_REFUSED = 400, 401, 403  # RFC 6749, section 5.2
_SCOPE = ("scope", "scp")


@dataclass(frozen=True)
class Attempt:
    """One try to sign in: what only its visitor knows, and the address to come back to."""

    state: str
    nonce: str
    verifier: str
    back: str


@dataclass(frozen=True)
class SignInClient:
    """The console as the issuer knows it; a public one has no secret."""

    issuer: Issuer
    id: str
    secret: str | None

    def address(self, attempt: Attempt) -> str:
        """Return where the issuer asks who it is; raises IssuerDown.

        Scopes are asked for where they are what the issuer calls so.
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

        The ID token tells that it is this visitor's sign-in, and the token for our audience what
        he may do: it is another one unless the console is that audience.
        """
        tokens = self._tokens(code, attempt)
        identity = tokens["id_token"]
        claims = self.issuer.claims(identity, self.id, nonce=attempt.nonce)
        ours = identity if self.id == self.issuer.audience else tokens["access_token"]
        found = self.issuer.caller(ours)
        if claims.get("azp", self.id) != self.id or claims["sub"] != found.name:
            raise KeyRefused("the issuer's tokens are not of one person", "sign in again")
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
            raise IssuerDown("the issuer of tokens cannot be asked who it is") from error


def client_of_settings(issuer: Issuer | None) -> SignInClient | None:
    """Return the client that the settings name, where there is an issuer."""
    now = settings()
    if issuer is None or now.oidc_client_id is None:
        return None
    secret = now.oidc_client_secret
    return SignInClient(issuer, now.oidc_client_id, secret.get_secret_value() if secret else None)
