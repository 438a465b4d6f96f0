"""Signing in at the console and out: who gets in, for how long, and what others can make of it."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.application import create_app
from api.console.elements import frame
from rowboat.access import keys, sessions
from rowboat.database.connections import transaction
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.issuing import AUDIENCE, CLIENT, PASSWORD, LocalIssuer, local_issuer

Setting = Callable[[str, str], None]
SignedIn = Callable[..., Visitor]


@pytest.fixture
def token(boat: Boat) -> str:
    with transaction(boat.connect("owner")) as cursor:
        return keys.create_key(cursor, "Ann's key", "read", per_minute=100_000)[1]


def cookie(visitor: Visitor) -> str:
    found = visitor.get_cookie(sessions.COOKIE)
    return found.value if found else ""


def led_to(answer: TestResponse) -> str:
    assert answer.status_code == 303
    return answer.location


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/").status_code == 200


def test_in_and_out(visitor: Visitor, token: str, boat: Boat) -> None:
    assert led_to(visitor.get("/")) == "/sign-in"
    page = visitor.get("/sign-in").text
    assert 'name="key" type="password"' in page
    before = cookie(visitor)
    assert led_to(visitor.post_form("/sign-in", key=f" {token} ")) == "/"
    inside = cookie(visitor)
    assert len(inside) == 43
    assert inside != before
    assert boat.query(
        "select count(*) from rowboat.sessions where token_sha256 = %s", [inside]
    ) == [0]
    assert "Ann&#39;s key" in visitor.get("/").text
    assert led_to(visitor.post_form("/sign-out")) == "/sign-in"
    assert "You are signed out." in visitor.get("/sign-in").text
    assert boat.query("select count(*) from rowboat.sessions") == [0]
    visitor.set_cookie(sessions.COOKIE, inside)
    assert not is_in(visitor)


def test_the_cookie(visitor: Visitor, token: str) -> None:
    first = visitor.get("/sign-in")
    [plain] = first.headers.getlist("Set-Cookie")
    assert plain.endswith("; HttpOnly; Path=/; SameSite=Lax")
    assert "Set-Cookie" not in visitor.get("/sign-in").headers
    https = {"wsgi.url_scheme": "https"}
    [guarded] = visitor.get("/sign-in", environ_overrides=https).headers.getlist("Set-Cookie")
    assert guarded.startswith("__Host-rowboat=")
    assert guarded.endswith("; Secure; HttpOnly; Path=/; SameSite=Lax")


def test_a_cookie_that_was_planted_is_not_signed_in(visitor: Visitor, token: str) -> None:
    visitor.set_cookie(sessions.COOKIE, "planted")
    assert visitor.post_form("/sign-in", key=token).status_code == 303
    assert cookie(visitor) != "planted"
    visitor.set_cookie(sessions.COOKIE, "planted")
    assert not is_in(visitor)


def test_an_empty_cookie_locks_nobody_out(visitor: Visitor, token: str) -> None:
    visitor.set_cookie(sessions.COOKIE, "")
    visitor.get("/sign-in")
    assert visitor.post_form("/sign-in", key=token).status_code == 303


def test_signing_in_again_ends_the_session_before(
    signed_in: SignedIn, token: str, boat: Boat
) -> None:
    visitor = signed_in("operate")
    before = cookie(visitor)
    visitor.post_form("/sign-in", key=token)
    assert boat.query("select scope from rowboat.sessions") == ["read"]
    visitor.set_cookie(sessions.COOKIE, before)
    assert not is_in(visitor)


@pytest.mark.parametrize(
    "change",
    [
        "update rowboat.keys set revoked_at = now()",
        "update rowboat.keys set expires_at = now()",
        "delete from rowboat.keys",
        "update rowboat.sessions set seen_at = now() - interval '61 minutes'",
        "update rowboat.sessions set created_at = now() - interval '12 hours'",
    ],
)
def test_what_ends_a_session(signed_in: SignedIn, boat: Boat, change: str) -> None:
    visitor = signed_in("read")
    assert is_in(visitor)
    boat.query(change)
    assert led_to(visitor.get("/keys?a=b%2Fc")) == "/sign-in?next=/keys?a%3Db%252Fc"


def test_sessions_that_are_over_are_dropped_at_the_next_sign_in(
    signed_in: SignedIn, boat: Boat
) -> None:
    for column, age in (("seen_at", "61 minutes"), ("created_at", "13 hours")):
        signed_in()
        boat.query(f"update rowboat.sessions set {column} = now() - %s::interval", [age])
        signed_in()
        assert boat.query("select count(*) from rowboat.sessions") == [1]


@pytest.mark.parametrize(("minutes", "stale", "fresh"), [("1", 4, 2), ("60", 200, 100)])
def test_use_keeps_a_session_alive(
    signed_in: SignedIn, boat: Boat, setting: Setting, minutes: str, stale: int, fresh: int
) -> None:
    """Also a session of one minute; not every request writes."""
    setting("session_minutes", minutes)
    visitor = signed_in("read")
    ago = "update rowboat.sessions set seen_at = now() - make_interval(secs => %s)"
    for seconds, noted in ((stale, True), (fresh, False)):
        boat.query(ago, [seconds])
        assert is_in(visitor)
        [is_noted] = boat.query("select seen_at > now() - interval '2 s' from rowboat.sessions")
        assert is_noted is noted, seconds


def test_a_change_of_the_key_takes_effect_at_once(signed_in: SignedIn, boat: Boat) -> None:
    visitor = signed_in("operate")
    assert visitor.get("/audit").status_code == 200
    boat.query("update rowboat.keys set scope = 'read'")
    assert visitor.get("/audit").status_code == 403


@pytest.mark.parametrize("key", ["", "rb_", "x", "rb_aaaaaaaa_" + "x" * 43, "é\0'", "a" * 10_000])
def test_a_bad_key_is_told(visitor: Visitor, boat: Boat, key: str) -> None:
    visitor.get("/sign-in")
    answer = visitor.post_form("/sign-in", key=key, next="/audit")
    assert answer.status_code == 401
    assert "the key is not known: ask the administrator of Rowboat for a valid one" in answer.text
    assert 'name="next" value="/audit"' in answer.text
    assert boat.query("select count(*) from rowboat.sessions") == [0]


def test_bad_keys_are_throttled(visitor: Visitor, token: str, boat: Boat) -> None:
    visitor.get("/sign-in")
    for _ in range(2):  # once more where a minute began meanwhile
        boat.query("delete from rowboat.usage")
        found = [visitor.post_form("/sign-in", key="x").status_code for _ in range(22)]
        if found[-1] == 429:
            break
    assert found == [401] * 20 + [429] * 2
    answer = visitor.post_form("/sign-in", key="x")
    assert "too many invalid keys from this address: wait until the next minute" in answer.text
    assert visitor.post_form("/sign-in", key=token).status_code == 303  # no neighbour is locked out


def test_pages_are_counted_like_requests_by_the_key(signed_in: SignedIn, boat: Boat) -> None:
    visitor = signed_in("read")
    boat.query("update rowboat.keys set per_minute = 1")
    statuses = [visitor.get("/").status_code for _ in range(3)]
    assert 429 in statuses
    assert "may send 1 requests a minute" in visitor.get("/").text


@pytest.mark.parametrize("given", [None, "", "x", "0" * 64, "é"])
def test_a_form_of_another_site_signs_nobody_in(visitor: Visitor, token: str, given: Any) -> None:
    visitor.get("/sign-in")
    fields = {"key": token} | ({} if given is None else {"csrf": given})
    answer = visitor.post("/sign-in", data=fields)
    assert answer.status_code == 403
    assert "the form does not belong to your session" in answer.text
    assert not is_in(visitor)


def test_without_a_cookie_no_token_is_right(visitor: Visitor, token: str) -> None:
    fields = {"key": token, "csrf": sessions.form_token("")}
    assert visitor.post("/sign-in", data=fields).status_code == 403


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 303), ("none", 303), ("same-site", 403), ("cross-site", 403)],
)
def test_who_could_plant_the_cookie_cannot_send_the_form(
    visitor: Visitor, token: str, site: str, status: int
) -> None:
    """Another port of this host shares its cookies."""
    visitor.set_cookie(sessions.COOKIE, "planted")
    fields = {"key": token, "csrf": sessions.form_token("planted")}
    answer = visitor.post("/sign-in", data=fields, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == status


def test_signing_out_needs_the_form(signed_in: SignedIn) -> None:
    visitor = signed_in("read")
    assert visitor.post("/sign-out").status_code == 403
    assert visitor.get("/sign-out").status_code == 405
    assert is_in(visitor)


@pytest.mark.parametrize("address", ["/", "/audit?table=a&from=2021-01-01", "/x/%2F/é", "/a//b"])
def test_leads_on_to_where_one_wanted(visitor: Visitor, token: str, address: str) -> None:
    visitor.get("/sign-in")
    answer = visitor.post_form("/sign-in", key=token, next=address)
    assert led_to(answer) == address.replace("é", "%C3%A9")


@pytest.mark.parametrize(
    "address",
    ["", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\\/evil",
     "https://evil.example", "https:evil.example", "javascript:alert(1)", "evil.example",
     "/\t/evil.example", "\t//evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", " //evil",
     "\u2028//evil", "//[", "\uff0f\uff0fevil.example", "/a\0b", "/" + "a" * 1000, "@evil.example"],
)  # fmt: skip
def test_leads_nobody_elsewhere(visitor: Visitor, token: str, address: str) -> None:
    assert 'name="next" value="/"' in visitor.get("/sign-in", query_string={"next": address}).text
    assert led_to(visitor.post_form("/sign-in", key=token, next=address)) == "/"


def test_who_has_a_session_and_a_key_is_who_the_key_says(
    signed_in: SignedIn, boat: Boat, token: str
) -> None:
    """Then no form is asked for, as no browser sends a key by itself."""
    visitor, row = signed_in("operate"), {"job": "Rower"}
    bearing = {"Authorization": f"Bearer {token}"}
    answer = visitor.post("/api/jobs", json=row, headers=bearing)
    assert "has the scope read; this needs write" in answer.get_json()["detail"]
    boat.query("update rowboat.keys set scope = 'write' where scope = 'read'")
    assert visitor.post("/api/jobs", json=row, headers=bearing).status_code == 201
    bad = {"Authorization": "Bearer rb_x"}
    assert visitor.get("/api/tables", headers=bad).status_code == 401
    basic = {"Authorization": "Basic eDp5"}  # a browser sends this by itself
    assert visitor.get("/api/tables", headers=basic).status_code == 200
    answer = visitor.post("/api/batch", json={}, headers=basic)
    assert answer.get_json()["detail"] == "the form does not belong to your session"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_api_changes_nothing_by_cookie_alone(
    signed_in: SignedIn, boat: Boat, method: str
) -> None:
    boat.query("insert into hired_employees.jobs (id, job) values (1, 'Rower')")
    visitor = signed_in("operate")
    address = "/api/jobs" if method == "POST" else "/api/jobs/1"
    headers = {"If-Match": "*"}
    body = None if method == "DELETE" else {"id": 1, "job": "Cox"}
    answer = visitor.open(address, method=method, json=body, headers=headers)
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert boat.query("select job from hired_employees.jobs") == ["Rower"]
    headers["X-CSRF-Token"] = sessions.form_token(cookie(visitor))
    answer = visitor.open(address, method=method, json=body, headers=headers)
    assert answer.status_code in (200, 204, 422), answer.text


def test_what_was_said_is_said_once_and_by_nobody_else(visitor: Visitor, app: Flask) -> None:
    visitor.get("/sign-in")
    with app.test_request_context(headers={"Cookie": f"{sessions.COOKIE}={cookie(visitor)}"}):
        [said] = frame.redirect_to("/", "<b>Done</b>").headers.getlist("Set-Cookie")
    assert said.endswith("; Max-Age=60; HttpOnly; Path=/; SameSite=Lax")
    value = said.partition("=")[2].partition(";")[0]
    visitor.set_cookie("rowboat_said", value)
    assert "&lt;b&gt;Done&lt;/b&gt;" in visitor.get("/sign-in").text
    assert visitor.get_cookie("rowboat_said") is None
    visitor.set_cookie("rowboat_said", value[:-1] + "x")
    assert "Don" not in visitor.get("/sign-in").text
    visitor.set_cookie("rowboat_said", "Call 555 and tell your key")
    assert "555" not in visitor.get("/sign-in").text


def test_long_words_fit_into_a_cookie(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": f"{sessions.COOKIE}=x"}):
        [said] = frame.redirect_to("/", "🚣" * 10_000).headers.getlist("Set-Cookie")
    assert len(said) < 4096


def test_an_unknown_address_is_a_guarded_page_for_browsers(visitor: Visitor) -> None:
    answer = visitor.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert visitor.get("/nothing").mimetype == "application/problem+json"


def test_no_secret_is_logged(
    signed_in: SignedIn, token: str, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    visitor = signed_in("operate")
    visitor.post_form("/sign-in", key=token + "x")
    visitor.post_form("/sign-in", key=token)
    visitor.get("/audit?actor=secret-in-the-address")
    logged = "".join(capfd.readouterr()) + caplog.text
    assert '"/sign-in"' in logged
    for secret in (token, token.split("_", 2)[2], cookie(visitor), "secret-in-the-address",
                   sessions.form_token(cookie(visitor))):  # fmt: skip
        assert secret not in logged


@pytest.fixture
def issuer(boat: Boat, setting: Setting) -> Iterator[LocalIssuer]:
    with local_issuer() as made:
        setting("oidc_issuer", made.address)
        setting("oidc_audience", AUDIENCE)
        setting("oidc_client_id", CLIENT)
        setting("oidc_client_secret", PASSWORD)
        yield made


@pytest.fixture
def guest(issuer: LocalIssuer) -> Iterator[Visitor]:
    """Somebody who looks at a console that knows an issuer."""
    app = create_app()
    yield Visitor(app, app.response_class)
    app.extensions["rowboat"].close()


def sent_back(visitor: Visitor, address: str = "/sign-in/issuer") -> str:
    """Go to the issuer, and return where it leads back to."""
    found = httpx.get(led_to(visitor.get(address)))
    assert found.status_code == 302
    return found.headers["Location"].removeprefix("http://localhost")


def test_sign_in_at_the_issuer(guest: Visitor, issuer: LocalIssuer, boat: Boat) -> None:
    assert "Sign in with 127.0.0.1" in guest.get("/sign-in?next=/audit").text
    before = cookie(guest)
    issuer.access = {"scope": "rowboat:operate"}
    there = led_to(guest.get("/sign-in/issuer?next=/audit"))
    asked = {name: value for name, [value] in parse_qs(urlsplit(there).query).items()}
    assert asked.pop("state")
    assert asked.pop("nonce")
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "http://localhost/sign-in/issuer/back",
        "scope": "openid rowboat:read rowboat:write rowboat:operate",
        "audience": AUDIENCE,
        "code_challenge_method": "S256",
    }
    back = httpx.get(there).headers["Location"].removeprefix("http://localhost")
    assert led_to(guest.get(back)) == "/audit"
    assert before not in (cookie(guest), "")
    assert guest.get("/audit").status_code == 200
    assert "ann · operate" in guest.get("/").text
    assert boat.query("select caller, scope from rowboat.sessions") == [("oidc:ann", "operate")]
    assert PASSWORD not in json.dumps(issuer.exchanged)


def test_a_public_client_shows_no_password(
    guest: Visitor, issuer: LocalIssuer, setting: Setting
) -> None:
    issuer.password = None
    setting("oidc_client_secret", "")
    assert led_to(guest.get(sent_back(guest))) == "/"
    assert issuer.exchanged[0]["client_id"] == CLIENT


def test_where_the_console_is_the_audience_the_id_token_counts(
    guest: Visitor, issuer: LocalIssuer, setting: Setting
) -> None:
    setting("oidc_audience", CLIENT)
    app = create_app()
    visitor = Visitor(app, app.response_class)
    issuer.identity = {"scope": "rowboat:write"}
    issuer.access = {"aud": "another service"}
    assert led_to(visitor.get(sent_back(visitor))) == "/"
    assert "ann · write" in visitor.get("/").text
    app.extensions["rowboat"].close()


@pytest.mark.parametrize(
    ("identity", "access", "status", "said"),
    [
        ({"nonce": "another"}, {}, 401, "the token&#39;s nonce is missing or not the right one"),
        ({"nonce": None}, {}, 401, "the token&#39;s nonce is missing or not the right one"),
        ({"aud": AUDIENCE}, {}, 401, "the token&#39;s aud is missing or not the right one"),
        ({"iss": "https://other.example"}, {}, 401, "the token&#39;s iss is missing"),
        ({"exp": 1}, {}, 401, "the token has expired"),
        ({"azp": "another"}, {}, 401, "the issuer&#39;s tokens belong to different people"),
        ({"aud": [CLIENT, "another"], "azp": CLIENT}, {}, 303, ""),
        ({"sub": "bob"}, {}, 401, "the issuer&#39;s tokens belong to different people"),
        ({}, {"aud": CLIENT}, 401, "the token&#39;s aud is missing or not the right one"),
        ({}, {"scope": "openid"}, 403, "the token has none of the scopes rowboat:read"),
    ],
)
def test_tokens_that_do_not_hold(
    guest: Visitor, issuer: LocalIssuer, boat: Boat, identity: Any, access: Any, status: int,
    said: str,
) -> None:  # fmt: skip
    issuer.identity, issuer.access = identity, access
    answer = guest.get(sent_back(guest))
    assert answer.status_code == status
    assert said in answer.text
    assert boat.query("select count(*) from rowboat.sessions") == [int(status == 303)]


def test_nobody_is_signed_in_by_the_way_of_another(guest: Visitor, issuer: LocalIssuer) -> None:
    """A link with a code of the attacker's makes nobody work in his name."""
    victim = Visitor(guest.application, guest.application.response_class)
    back = sent_back(guest)
    for cookie_of in ("none", "own"):
        answer = victim.get(back)
        assert answer.status_code == 403, cookie_of
        assert "the sign-in was not started here: start it again" in answer.text
        assert not is_in(victim)
    assert issuer.exchanged == []


def test_who_has_no_cookie_has_begun_nothing(guest: Visitor, issuer: LocalIssuer) -> None:
    """What would be his own way anybody could write."""
    way = {"state": sessions.seal_text("", "state", "x /"), "code": "y"}
    assert guest.get("/sign-in/issuer/back", query_string=way).status_code == 403
    assert issuer.exchanged == []


def test_a_way_back_is_good_once(guest: Visitor, issuer: LocalIssuer) -> None:
    back = sent_back(guest)
    assert guest.get(back).status_code == 303
    assert guest.get(back).status_code == 403
    assert len(issuer.exchanged) == 1


def test_a_code_of_another_way_is_not_taken(guest: Visitor, issuer: LocalIssuer) -> None:
    """The verifier belongs to the state."""
    first, second = sent_back(guest), sent_back(guest)
    code = parse_qs(urlsplit(first).query)["code"][0]
    state = parse_qs(urlsplit(second).query)["state"][0]
    answer = guest.get("/sign-in/issuer/back", query_string={"code": code, "state": state})
    assert answer.status_code == 401
    assert "the issuer does not know this sign-in: sign in again" in answer.text


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("access_denied", "access_denied"),
        ("<b>", "no reason given"),
        ("call 555", "no reason given"),
    ],
)
def test_what_the_issuer_refuses_is_told(guest: Visitor, error: str, word: str) -> None:
    state = parse_qs(urlsplit(sent_back(guest)).query)["state"][0]
    answer = guest.get("/sign-in/issuer/back", query_string={"error": error, "state": state})
    assert answer.status_code == 401
    assert f"the issuer did not sign you in: {word}: try again" in answer.text


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=y", "?error=access_denied"])
def test_back_without_having_left(guest: Visitor, query: str) -> None:
    guest.get("/sign-in")
    assert guest.get(f"/sign-in/issuer/back{query}").status_code == 403


@pytest.mark.parametrize("address", [None, 7, "", "http://evil.example/", "javascript:alert(1)"])
def test_an_issuer_that_is_not_one(guest: Visitor, issuer: LocalIssuer, address: Any) -> None:
    document = issuer.documents["/.well-known/openid-configuration"]
    document["authorization_endpoint"] = address
    answer = guest.get("/sign-in/issuer")
    assert answer.status_code == 503
    assert "the issuer of tokens has no authorization_endpoint" in answer.text


def test_an_issuer_that_is_down(guest: Visitor, issuer: LocalIssuer) -> None:
    back = sent_back(guest)
    issuer.documents["/.well-known/openid-configuration"]["token_endpoint"] = "http://127.0.0.1:1/"
    guest.application.extensions["issuer"]._document["token_endpoint"] = "http://127.0.0.1:1/"
    answer = guest.get(back)
    assert answer.status_code == 503
    assert "the issuer of tokens cannot be asked who signed in" in answer.text
    assert answer.headers["Retry-After"] == "60"


def test_a_token_of_the_issuer_is_no_key_for_hours(guest: Visitor, issuer: LocalIssuer) -> None:
    guest.get("/sign-in")
    assert guest.post_form("/sign-in", key=issuer.token()).status_code == 401


def test_without_an_issuer_there_is_no_such_page(visitor: Visitor) -> None:
    assert "Sign in with" not in visitor.get("/sign-in").text
    for address in ("/sign-in/issuer", "/sign-in/issuer/back"):
        assert visitor.get(address).status_code == 404
