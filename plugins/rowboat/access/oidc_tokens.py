"""Bearer tokens of an OpenID Connect issuer: signed JWTs with scopes in a claim."""

import time
from threading import Lock
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from rowboat.access.keys import SCOPES, Key
from rowboat.errors import Forbidden, IssuerDown, KeyRefused
from rowboat.settings import is_guarded, settings

# Asymmetric algorithms only: HS256 would need a shared secret, and `none` is no signature.
_ALGORITHMS = ["RS256", "ES256"]
_LEEWAY = 60  # seconds by which clocks may differ
_PAUSE = 60.0  # seconds between two requests to the issuer
_OLD = 3600.0  # seconds for which keys are used: a withdrawn one is refused within the hour
_PATIENCE = 5.0  # seconds that the issuer has to answer
_LONGEST = 255  # characters of a subject (OpenID Connect Core, section 2)
_FACTS: dict[type[JoseError], str] = {
    ExpiredTokenError: "the token has expired",
    BadSignatureError: "the token is not signed by its issuer",
    InvalidKeyIdError: "the token is signed by a key that its issuer does not have",
    UnsupportedAlgorithmError: "the token is not signed by RS256 or ES256",
}
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError)  # a document of another form
_TROUBLE = (httpx.HTTPError, httpx.InvalidURL, JoseError, *_MALFORMED)


class Issuer:
    """An issuer of tokens: its URL, the audience of its tokens, the claim with their scopes."""

    def __init__(self, address: str, audience: str, claim: str) -> None:
        self.address, self.audience, self.claim = address, audience, claim
        self._registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        self._lock = Lock()
        self._keys = KeySet([])
        self._document: dict[str, Any] = {}
        self._asked = self._answered = float("-inf")
        self._failure: Exception | None = None

    def caller(self, token: str) -> Key:
        """Return the caller of a token; raises KeyRefused, Forbidden without a scope, IssuerDown.

        The caller's ID begins with `oidc:`, so that an issuer cannot impersonate an API key.
        """
        claims = self.claims(token, self.audience)
        subject = claims["sub"]
        if not (len(subject) <= _LONGEST and subject.isascii() and subject.isprintable()):
            raise KeyRefused("the token's subject is not a name", "ask its issuer for a new one")
        return Key(f"oidc:{subject}", subject, self._scope(claims))

    def claims(self, token: str, audience: str, **more: str) -> dict[str, Any]:
        """Return the claims of a valid token for an audience; raises KeyRefused, IssuerDown.

        `more` are further claims with the values that they must have.
        """
        wanted = {"iss": self.address, "aud": audience, **more}
        options: dict[str, Any] = {
            name: {"essential": True, "value": value} for name, value in wanted.items()
        }
        # A token without expiry would be valid forever.
        there: jwt.ClaimsOption = {"essential": True}
        registry = jwt.JWTClaimsRegistry(leeway=_LEEWAY, exp=there, sub=there, **options)
        try:
            claims = self._read(token)
            registry.validate(claims)
        except (JoseError, *_MALFORMED) as error:
            raise KeyRefused(_fact(error), "ask its issuer for a new one") from None
        return claims

    def endpoint(self, name: str) -> str:
        """Return a URL from the issuer's discovery document; raises IssuerDown."""
        self._current()
        address = self._document.get(name)
        if not isinstance(address, str) or not is_guarded(address):
            raise IssuerDown(f"the issuer of tokens has no {name}") from ValueError(address)
        return address

    def _current(self) -> KeySet:
        known = time.monotonic() - self._answered < _OLD
        return self._keys if known else self._renewed()

    def _read(self, token: str) -> dict[str, Any]:
        try:
            return self._decoded(token, self._current())
        except InvalidKeyIdError:  # the issuer may have a new key
            return self._decoded(token, self._renewed())

    def _decoded(self, token: str, keys: KeySet) -> dict[str, Any]:
        return jwt.decode(token, keys, registry=self._registry).claims

    def _scope(self, claims: dict[str, Any]) -> str:
        """Return the widest scope of a token; the claim is a list or a space-separated text."""
        found = claims.get(self.claim)
        names = found.split() if isinstance(found, str) else found
        for scope in reversed(SCOPES):
            if isinstance(names, list) and f"rowboat:{scope}" in names:
                return scope
        wanted = ", ".join(f"rowboat:{scope}" for scope in SCOPES)
        raise Forbidden(f"the token has none of the scopes {wanted}", "ask its issuer for one")

    def _renewed(self) -> KeySet:
        """Fetch the keys again; at most once a minute, as any caller can name an unknown key."""
        # One thread asks the issuer; the others wait for the lock, and use what it got.
        with self._lock:
            if time.monotonic() - self._asked >= _PAUSE:
                self._asked = time.monotonic()
                try:
                    self._keys, self._failure = self._fetched(), None
                    self._answered = self._asked
                except _TROUBLE as error:
                    self._failure = error
            if self._failure:
                raise IssuerDown from self._failure
            return self._keys

    def _fetched(self) -> KeySet:
        """Fetch the discovery document and the keys that it names (OpenID Connect Discovery)."""
        found = _get(self.address.rstrip("/") + "/.well-known/openid-configuration")
        # OpenID Connect Discovery, section 4.3, requires this check against mixed-up issuers.
        if found["issuer"] != self.address:
            raise ValueError("the document names another issuer")
        keys, self._document = KeySet.import_key_set(_get(found["jwks_uri"])), found
        return keys


def issuer_of_settings() -> Issuer | None:
    """Return the issuer in the settings, or None."""
    now = settings()
    if now.oidc_issuer is None or now.oidc_audience is None:
        return None
    return Issuer(now.oidc_issuer, now.oidc_audience, now.oidc_claim)


def _get(address: str) -> Any:
    if not is_guarded(address):
        raise ValueError(f"{address} does not begin with https://")
    answer = httpx.get(address, timeout=_PATIENCE)
    return answer.raise_for_status().json()


def _fact(error: Exception) -> str:
    if isinstance(error, InvalidClaimError | MissingClaimError):
        return f"the token's {error.claim} is missing or not the right one"
    facts = (fact for kind, fact in _FACTS.items() if isinstance(error, kind))
    return next(facts, "the token cannot be read")
