"""Keys: made once, kept as a hash, refused when they end; counted by the minute."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.shared.context import Connections
from rowboat.access import keys
from rowboat.access.keys import Key, Rate
from rowboat.cli import commands
from rowboat.database.connections import Cursor, transaction
from rowboat.errors import Forbidden, KeyRefused, RowRefused, UnknownKey, UnknownTable
from tests.conftest import Boat

JOBS, DEPARTMENTS = "hired_employees.jobs", "hired_employees.departments"
MADE_UP = f"rb_aaaaaaaa_{'x' * 43}"


@pytest.fixture
def counting(boat: Boat) -> Iterator[Connections]:
    """The connections on which requests are counted."""
    made = Connections(autocommit=True)
    yield made
    made.close()


@pytest.fixture
def cursor(counting: Connections) -> Iterator[Cursor]:
    """A cursor of the API's role whose statements are transactions of their own."""
    with counting.connection() as connection, transaction(connection) as opened:
        yield opened


@pytest.fixture
def make(boat: Boat) -> Callable[..., tuple[Key, str]]:
    """Make a key as its owner does."""

    def create(*arguments: Any, **options: Any) -> tuple[Key, str]:
        with transaction(boat.connect("owner")) as cursor:
            return keys.create_key(cursor, *arguments, **options)

    return create


@pytest.fixture
def run(boat: Boat) -> Callable[..., Result]:
    """Run `rowboat keys …` against the boat's database."""
    return lambda *arguments: CliRunner().invoke(commands.main, ["keys", *arguments])


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refusal(cursor: Cursor, token: str) -> str:
    with pytest.raises(KeyRefused) as refused:
        keys.find_key(cursor, token)
    return refused.value.fact


def test_token_is_kept_nowhere(boat: Boat, make: Any) -> None:
    key, token = make("a press", "write")
    assert re.fullmatch(rf"rb_{key.id}_[\w-]{{43}}", token, re.ASCII)
    assert re.fullmatch("[a-z0-9]{8}", key.id)
    secret = token.split("_", 2)[2]
    [kept] = boat.query("select to_jsonb(k) from rowboat.keys k")
    assert kept["secret_sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in json.dumps(kept)


def test_known_is_what_was_made(make: Any, cursor: Cursor) -> None:
    for key, token in (
        make("a", "read"),
        make("b", "operate", ["jobs", DEPARTMENTS], days=1, per_minute=7),
    ):
        assert keys.find_key(cursor, token) == key
    assert (key.tables, key.per_minute) == ({JOBS, DEPARTMENTS}, 7)


def test_tables_are_those_of_the_catalog(boat: Boat, make: Any) -> None:
    with pytest.raises(UnknownTable, match="there is no table ships"):
        make("a", "read", ["jobs", "ships"])
    assert boat.query("select count(*) from rowboat.keys") == [0]


@pytest.mark.parametrize(
    "wrong", [{"scope": "public"}, {"scope": "Read"}, {"per_minute": 0}, {"days": 10**9}]
)
def test_a_key_that_cannot_be(make: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(RowRefused):
        make(**{"name": "a", "scope": "read"} | wrong)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "rb_",
        "x",
        MADE_UP,
        MADE_UP[:-1],
        MADE_UP + "x",
        MADE_UP + "\n",
        MADE_UP.upper(),
        MADE_UP.replace("x", "é"),
        f"rb_' or true -_{'x' * 43}",
    ],
)
def test_unknown_token(cursor: Cursor, make: Any, token: str) -> None:
    make("a", "operate")
    assert refusal(cursor, token) == "the key is not known"


def test_secret_of_another_key(cursor: Cursor, make: Any) -> None:
    (one, _), (_, token) = make("a", "operate"), make("b", "operate")
    assert refusal(cursor, f"rb_{one.id}_{token.split('_', 2)[2]}") == "the key is not known"


def test_token_and_more(cursor: Cursor, make: Any) -> None:
    _, token = make("a", "operate")
    for wrong in (token + "x", token + "\n", token[:-1], " " + token, token.swapcase()):
        assert refusal(cursor, wrong) == "the key is not known"


def test_compared_in_constant_time_whatever_is_wrong(
    cursor: Cursor, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    def compare(a: str, b: str) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    key, token = make("a", "read")
    tries = [f"rb_{key.id}_{'x' * 43}", MADE_UP, "nonsense"]
    assert {refusal(cursor, each) for each in tries} == {"the key is not known"}
    assert keys.find_key(cursor, token) == key
    assert len(compared) == 4
    assert {len(part) for pair in compared for part in pair} == {64}


def test_expired_and_revoked(boat: Boat, cursor: Cursor, make: Any) -> None:
    key, token = make("a", "read", days=1)
    assert boat.query("select (expires_at - created_at)::text from rowboat.keys") == ["P1D"]
    keys.find_key(cursor, token)
    boat.query("update rowboat.keys set expires_at = now()")
    assert refusal(cursor, token) == f"the key {key.id} is expired"
    assert refusal(cursor, f"rb_{key.id}_{'x' * 43}") == "the key is not known"
    with transaction(boat.connect("owner")) as owner:
        keys.revoke_key(owner, key.id)
    assert refusal(cursor, token) == f"the key {key.id} is revoked"


def test_revoked_for_good(boat: Boat, make: Any) -> None:
    key, _ = make("a", "read")
    with transaction(boat.connect("owner")) as owner:
        keys.revoke_key(owner, key.id)
    [first] = boat.query("select revoked_at from rowboat.keys")
    with transaction(boat.connect("owner")) as owner:
        keys.revoke_key(owner, key.id)
        with pytest.raises(UnknownKey, match="there is no key nobody"):
            keys.revoke_key(owner, "nobody")
    assert boat.query("select revoked_at from rowboat.keys") == [first]


def test_scopes_include_the_smaller() -> None:
    found = {
        scope: [each for each in ("public", *keys.SCOPES) if Key("k", "k", scope).may(each)]
        for scope in keys.SCOPES
    }
    assert found == {
        "read": ["public", "read"],
        "write": ["public", "read", "write"],
        "operate": ["public", "read", "write", "operate"],
    }
    with pytest.raises(Forbidden, match=r"^the key k has the scope read; this needs write\n"):
        Key("k", "k", "read").demand("write")


def test_counts_by_the_minute_and_forgets(boat: Boat, make: Any, cursor: Cursor) -> None:
    key, _ = make("a", "read")
    made = [keys.count_request(cursor, key.id, 2) for _ in range(3)]
    if made[0].reset < made[-1].reset:  # a minute began in between
        made = [keys.count_request(cursor, key.id, 2) for _ in range(3)]
    assert [(each.requests, each.remaining, each.exceeded) for each in made] == [
        (1, 1, False),
        (2, 0, False),
        (3, 0, True),
    ]
    assert all(1 <= each.reset <= 60 for each in made)
    boat.query("update rowboat.usage set minute = minute - interval '1 minute'")
    assert keys.count_request(cursor, key.id, 2).requests == 1
    assert boat.query("select caller, requests from rowboat.usage") == [(key.id, 1)]


def test_last_use_is_written_once_a_minute(boat: Boat, make: Any, cursor: Cursor) -> None:
    (key, _), _ = make("a", "read"), make("another", "read")
    statement = "select id, used_at, xmin::text from rowboat.keys where used_at is not null"
    keys.count_request(cursor, key.id, 600)
    [(found, used_at, version)] = boat.query(statement)
    assert found == key.id
    while keys.count_request(cursor, key.id, 600).requests < 5:
        [(_, used_at, version)] = boat.query(statement)
    assert boat.query(statement) == [(key.id, used_at, version)]
    boat.query("update rowboat.usage set minute = minute - interval '1 minute'")
    keys.count_request(cursor, key.id, 600)
    [(_, later, _)] = boat.query(statement)
    assert later > used_at


def test_many_count_at_once(boat: Boat, counting: Connections) -> None:
    """Each request has a number of its own, and none fails because of another."""

    def count(_: int) -> Rate:
        with counting.connection() as connection, transaction(connection) as cursor:
            return keys.count_request(cursor, "somebody", 100)

    with ThreadPoolExecutor(8) as pool:
        found = [each.requests for each in pool.map(count, range(400))]
    minutes = found.count(1)  # two where a minute began in between
    assert minutes in {1, 2}
    if minutes == 1:
        assert sorted(found) == list(range(1, 401))


def test_forgetting_waits_for_nobody(boat: Boat, cursor: Cursor) -> None:
    keys.count_request(cursor, "somebody", 600)
    boat.query("update rowboat.usage set minute = minute - interval '1 minute'")
    with transaction(boat.connect("owner")) as other:
        other.execute("delete from rowboat.usage")
        cursor.execute("set lock_timeout = '100ms'")
        assert keys.count_request(cursor, "somebody", 600).requests == 1


def test_counts_whatever_the_server_is_set_to(boat: Boat) -> None:
    [name] = boat.query("select current_database()::text")
    boat.query(f"alter database {name} set default_transaction_isolation = serializable")
    opened = Connections(autocommit=True)
    with opened.connection() as connection, transaction(connection) as cursor:
        cursor.execute("select current_setting('transaction_isolation')")
        assert cursor.fetchone() == ("read committed",)
    opened.close()


def test_create_shows_the_token_once(run: Any, boat: Boat, cursor: Cursor) -> None:
    result = run("create", "a press", "--scope", "write", "--table", "jobs", "--days", "3")
    assert result.exit_code == 0, result.output
    token, sentence = result.stdout.splitlines()
    assert sentence == "this is shown only once: store it where only its user can read it"
    key = keys.find_key(cursor, token)
    assert (key.name, key.scope, key.tables, key.per_minute) == ("a press", "write", {JOBS}, 600)
    assert boat.query("select (expires_at - created_at)::text from rowboat.keys") == ["P3D"]
    assert token not in run("list").stdout + run("list", "--json").stdout


def test_create_as_a_document(run: Any, cursor: Cursor) -> None:
    found = document(run("create", "a", "--scope", "read", "--per-minute", "60", "--json"))
    key = keys.find_key(cursor, found.pop("token"))
    assert found == {
        "id": key.id,
        "name": "a",
        "scope": "read",
        "tables": None,
        "per_minute": 60,
        "days": None,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "a"], 2, "Missing option '--scope'"),
        (["create", "a", "--scope", "all"], 2, "'all' is not one of 'read', 'write', 'operate'"),
        (["create", "a", "--scope", "read", "--days", "0"], 2, "0 is not in the range"),
        (["create", "a", "--scope", "read", "--per-minute", "0"], 2, "0 is not in the range"),
        (["create", "a", "--scope", "read", "--table", "x"], 1, "there is no table x\nHINT: "),
        (["revoke", "x"], 1, "there is no key x\nHINT: `rowboat keys list` shows them\n"),
    ],
)
def test_wrong_use(run: Any, arguments: list[str], code: int, words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_list_and_revoke(run: Any, boat: Boat, make: Any, cursor: Cursor) -> None:
    assert run("list").stdout == "there are no keys: `rowboat keys create` creates one\n"
    key, token = make("[bold]a", "read", ["jobs"], days=2)
    keys.count_request(cursor, keys.find_key(cursor, token).id, 600)
    [listed] = document(run("list", "--json"))
    assert {name: listed[name] for name in ("id", "name", "scope", "tables", "state")} == {
        "id": key.id,
        "name": "[bold]a",
        "scope": "read",
        "tables": [JOBS],
        "state": "good",
    }
    assert listed["used_at"] >= listed["created_at"]
    assert (listed["revoked_at"], "secret_sha256" in listed) == (None, False)
    assert document(run("revoke", key.id, "--json")) == {"id": key.id, "state": "revoked"}
    assert run("revoke", key.id).stdout == f"{key.id} is revoked\n"
    head, row = run("list").stdout.splitlines()
    assert " ".join(head.split()) == "id name scope tables state expires last used per minute"
    assert row.split()[:5] == [key.id, "[bold]a", "read", JOBS, "revoked"]
    boat.query("update rowboat.keys set revoked_at = null, expires_at = now()")
    assert document(run("list", "--json"))[0]["state"] == "expired"
