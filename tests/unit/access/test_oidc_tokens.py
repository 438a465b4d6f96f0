"""Tokens of an issuer: who signed them, for whom, until when, for what."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as some
from joserfc import jwt
from joserfc.jwk import RSAKey

from rowboat.access import oidc_tokens
from rowboat.access.keys import Key
from rowboat.access.oidc_tokens import Issuer
from rowboat.errors import Forbidden, IssuerDown, KeyRefused, SettingError
from rowboat.settings import settings
from tests.support.issuing import AUDIENCE, LocalIssuer, local_issuer

DISCOVERY = "/.well-known/openid-configuration"
UNREADABLE = "the token cannot be read"
NOT_SIGNED_WELL = "the token is not signed by RS256 or ES256"
UNKNOWN_KEY = "the token is signed by a key that its issuer does not have"
NOW = int(time.time())


@pytest.fixture(scope="module")
def running() -> Iterator[LocalIssuer]:
    with local_issuer() as made:
        yield made


@pytest.fixture
def local(running: LocalIssuer) -> LocalIssuer:
    running.rotate("first")
    running.asked.clear()
    return running


@pytest.fixture
def issuer(local: LocalIssuer) -> Issuer:
    return Issuer(local.address, AUDIENCE, "scope")


def refusal(issuer: Issuer, token: str) -> str:
    with pytest.raises(KeyRefused) as refused:
        issuer.caller(token)
    assert refused.value.hint == "ask its issuer for a new one"
    return refused.value.fact


def packed(content: Any) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """Make a token signed by a shared secret, or by nothing."""
    text = f"{packed(header)}.{packed(claims)}"
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest() if secret else b""
    return f"{text}.{packed(mac)}"


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_good_token(local: LocalIssuer, issuer: Issuer, kind: str) -> None:
    local.rotate("other", kind)
    assert issuer.caller(local.token()) == Key("oidc:ann", "ann", "read")
    many = local.token(aud=["other", AUDIENCE])
    assert issuer.caller(many).id == "oidc:ann"
    assert local.asked == [DISCOVERY, "/keys"]


@pytest.mark.parametrize(
    ("claim", "scope"),
    [
        ("rowboat:read", "read"),
        ("openid rowboat:operate rowboat:read", "operate"),
        (["rowboat:write", "email"], "write"),
        ([["rowboat:operate"], {"a": 1}, None, "rowboat:read"], "read"),
    ],
)
def test_scopes(local: LocalIssuer, issuer: Issuer, claim: Any, scope: str) -> None:
    assert issuer.caller(local.token(scope=claim)).scope == scope


@pytest.mark.parametrize(
    "claim", ["", "openid", "rowboat:all read", "xrowboat:read", [], None, 7, {"rowboat:read": 1}]
)
def test_without_a_scope(local: LocalIssuer, issuer: Issuer, claim: Any) -> None:
    with pytest.raises(Forbidden, match="the token has none of the scopes rowboat:read, "):
        issuer.caller(local.token(scope=claim))


def test_scopes_from_another_claim(local: LocalIssuer) -> None:
    issuer = Issuer(local.address, AUDIENCE, "permissions")
    assert issuer.caller(local.token(permissions=["rowboat:write"])).scope == "write"


@pytest.mark.parametrize(
    ("claims", "fact"),
    [
        ({"exp": NOW - 61}, "the token has expired"),
        ({"exp": None}, "the token's exp is missing or not the right one"),
        ({"exp": "later"}, "the token's exp is missing or not the right one"),
        ({"exp": True}, "the token's exp is missing or not the right one"),
        ({"nbf": NOW + 600}, "the token's nbf is missing or not the right one"),
        ({"aud": "other"}, "the token's aud is missing or not the right one"),
        ({"aud": ["other", "rowboats"]}, "the token's aud is missing or not the right one"),
        ({"aud": None}, "the token's aud is missing or not the right one"),
        ({"iss": "https://other.example"}, "the token's iss is missing or not the right one"),
        ({"iss": None}, "the token's iss is missing or not the right one"),
        ({"sub": None}, "the token's sub is missing or not the right one"),
        ({"sub": 7}, "the token's sub is missing or not the right one"),
        ({"sub": ""}, "the token's sub is missing or not the right one"),
        ({"sub": "a\0b"}, "the token's subject is not a name"),
        ({"sub": "é"}, "the token's subject is not a name"),
        ({"sub": "a" * 256}, "the token's subject is not a name"),
    ],
)
def test_claims_that_do_not_hold(
    local: LocalIssuer, issuer: Issuer, claims: dict[str, Any], fact: str
) -> None:
    assert refusal(issuer, local.token(**claims)) == fact


def test_clocks_may_differ_by_a_minute(local: LocalIssuer, issuer: Issuer) -> None:
    now = int(time.time())
    assert issuer.caller(local.token(exp=now - 50, nbf=now + 50)).id == "oidc:ann"


def test_signed_by_another(local: LocalIssuer, issuer: Issuer) -> None:
    other = RSAKey.generate_key(2048, {"kid": "first"})
    header = {"alg": "RS256", "kid": "first"}
    token = jwt.encode(header, local.claims(), other, ["RS256"])
    assert refusal(issuer, token) == "the token is not signed by its issuer"
    begin, claims, end = local.token().split(".")
    changed = packed(local.claims(scope="rowboat:operate"))
    assert claims != changed
    assert refusal(issuer, f"{begin}.{changed}.{end}") == "the token is not signed by its issuer"
    assert refusal(issuer, f"{begin}.{claims}.") == "the token is not signed by its issuer"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "HS256", "RS512", "PS256", "", None, 7])
def test_signed_in_a_way_that_is_not_allowed(local: LocalIssuer, issuer: Issuer, name: Any) -> None:
    [key] = local.keys.values()
    for secret in (None, key.as_pem(private=False), json.dumps(local.documents["/keys"]).encode()):
        for header in ({"alg": name, "kid": "first"}, {"alg": name}):
            fact = refusal(issuer, forged(header, local.claims(), secret))
            assert fact in {NOT_SIGNED_WELL, UNREADABLE, UNKNOWN_KEY}


def test_shared_secrets_are_refused_by_name(local: LocalIssuer, issuer: Issuer) -> None:
    """Also where the issuer lists one among its keys."""
    secret = b"x" * 32
    local.documents["/keys"]["keys"].append({"kty": "oct", "kid": "oct", "k": packed(secret)})
    token = forged({"alg": "HS256", "kid": "oct"}, local.claims(), secret)
    assert refusal(issuer, token) == NOT_SIGNED_WELL
    token = forged({"alg": "none", "kid": "first"}, local.claims())
    assert refusal(issuer, token) == NOT_SIGNED_WELL


def test_headers_of_an_issuer_s_own_are_ignored(local: LocalIssuer, issuer: Issuer) -> None:
    [key] = local.keys.values()
    for more, good in (({"nonce": "x"}, True), ({"crit": ["nonce"], "nonce": "x"}, False)):
        header = {"alg": "RS256", "kid": "first", **more}
        body = f"{packed(header)}.{packed(local.claims())}"
        token = f"{body}.{packed(signature(key, body))}"
        if good:
            assert issuer.caller(token).id == "oidc:ann"
        else:
            assert refusal(issuer, token) == UNREADABLE


@pytest.mark.parametrize("kid", [[], ["first"], {"a": 1}, 7, None, "", "first\0"])
def test_key_ids_that_are_none(local: LocalIssuer, issuer: Issuer, kid: Any) -> None:
    token = forged({"alg": "RS256", "kid": kid}, local.claims(), b"x")
    assert refusal(issuer, token) in {
        UNREADABLE,
        UNKNOWN_KEY,
        "the token is not signed by its issuer",
    }


def signature(key: Any, text: str) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signed: bytes = key.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return signed


@profile(deadline=None)
@given(
    some.text(max_size=60)
    | some.builds(
        lambda parts: ".".join(map(packed, parts)),
        some.lists(
            some.binary(max_size=20)
            | some.dictionaries(
                some.sampled_from(["alg", "kid", "crit"]), some.text() | some.none()
            ),
            max_size=5,
        ),
    )
)
def test_nonsense(running: LocalIssuer, token: str) -> None:
    issuer = Issuer(running.address, AUDIENCE, "scope")
    issuer._keys, issuer._asked, issuer._answered = oidc_tokens.KeySet([]), time.monotonic(), NOW
    with pytest.raises(KeyRefused):
        issuer.caller(token)


def test_keys_rotate(local: LocalIssuer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    old = local.token()
    issuer.caller(old)
    local.rotate("second")
    assert refusal(issuer, local.token()) == UNKNOWN_KEY  # asked within the minute
    assert len(local.asked) == 2
    monkeypatch.setattr(oidc_tokens, "_PAUSE", 0)
    assert issuer.caller(local.token()).id == "oidc:ann"
    assert len(local.asked) == 4
    assert refusal(issuer, old) == UNKNOWN_KEY


def test_asked_once_a_minute_whatever_callers_send(local: LocalIssuer, issuer: Issuer) -> None:
    for number in range(20):
        header = {"alg": "RS256", "kid": f"made up {number}"}
        assert refusal(issuer, forged(header, local.claims(), b"x")) == UNKNOWN_KEY
    assert local.asked == [DISCOVERY, "/keys"]


def test_withdrawn_key_goes_within_the_hour(
    local: LocalIssuer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = local.token()
    issuer.caller(old)
    local.rotate("second")
    issuer.caller(old)
    monkeypatch.setattr(oidc_tokens, "_PAUSE", 0)
    monkeypatch.setattr(oidc_tokens, "_OLD", 0)
    assert refusal(issuer, old) == UNKNOWN_KEY


@pytest.mark.parametrize(
    ("path", "document", "cause"),
    [
        (DISCOVERY, None, "404"),
        (DISCOVERY, [], "list indices"),
        (DISCOVERY, {"issuer": "https://other.example"}, "the document names another issuer"),
        (DISCOVERY, {"jwks_uri": "http://192.0.2.1/"}, "192.0.2.1/ does not begin with https"),
        (DISCOVERY, {"jwks_uri": "file:///etc/hosts"}, "file:///etc/hosts does not begin with"),
        (DISCOVERY, {"jwks_uri": "https://["}, "Invalid IPv6 URL"),
        (DISCOVERY, {"jwks_uri": 7}, "'int' object"),
        (DISCOVERY, {"jwks_uri": None}, "does not begin with https"),
        ("/keys", None, "404"),
        ("/keys", {"keys": []}, "No keys to import"),
        ("/keys", {"keys": 7}, "'int' object"),
        ("/keys", {"keys": [{"kty": "RSA", "kid": "first"}]}, "'n' is required"),
        (
            "/keys",
            {"keys": [{"kty": "RSA", "kid": "first", "n": "!", "e": 7}]},
            "'e' must be a str",
        ),
    ],
)
def test_issuer_that_cannot_be_asked(
    local: LocalIssuer, issuer: Issuer, path: str, document: Any, cause: str
) -> None:
    if path == DISCOVERY and isinstance(document, dict):
        document = local.documents[DISCOVERY] | document
    local.documents[path] = document
    for _ in range(3):
        with pytest.raises(IssuerDown) as down:
            issuer.caller(local.token())
        assert down.value.fact == "the keys of the token issuer cannot be fetched"
        assert cause in str(down.value.__cause__)
    assert local.asked.count(DISCOVERY) == 1


def test_issuer_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_issuer() as gone:
        old = gone.token()
        issuer = Issuer(gone.address, AUDIENCE, "scope")
        issuer.caller(old)
        gone.rotate("second")
    monkeypatch.setattr(oidc_tokens, "_PAUSE", 0)
    with pytest.raises(IssuerDown) as down:
        issuer.caller(gone.token())
    assert "refused" in str(down.value.__cause__)
    assert issuer.caller(old).id == "oidc:ann"  # its key is known


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"oidc_issuer": "http://id.example"}, "ROWBOAT_OIDC_ISSUER cannot be used"),
        ({"oidc_issuer": "id.example"}, "ROWBOAT_OIDC_ISSUER cannot be used"),
        ({"oidc_issuer": "http://127.0.0.1.example"}, "ROWBOAT_OIDC_ISSUER cannot be used"),
        ({"oidc_issuer": "https://id.example"}, "ROWBOAT_OIDC_AUDIENCE cannot be used"),
    ],
)
def test_settings_that_cannot_be(setting: Any, values: dict[str, str], fact: str) -> None:
    for name, value in values.items():
        setting(name, value)
    with pytest.raises(SettingError, match=fact):
        oidc_tokens.issuer_of_settings()
    settings.cache_clear()


def test_settings(setting: Any) -> None:
    assert oidc_tokens.issuer_of_settings() is None
    setting("oidc_issuer", "https://id.example")
    setting("oidc_audience", "rowboat")
    assert isinstance(oidc_tokens.issuer_of_settings(), Issuer)
