"""Stored answers by Idempotency-Key: a repeated request gets the answer of the first one.

It follows the IETF draft "The Idempotency-Key HTTP Header Field". The answer is stored in the
transaction of its rows, so there is never one without the other.
"""

from dataclasses import dataclass

from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.errors import KeyReused


@dataclass(frozen=True)
class KeptAnswer:
    """An answer: HTTP status, body, and whether it repeats an earlier one."""

    status: int
    body: str
    again: bool = False


@dataclass(frozen=True)
class IdempotentRequest:
    """A request that takes effect once: caller, key, and SHA-256 of its content."""

    caller: str
    key: str
    request_sha256: str

    def find_answer(self, cursor: Cursor) -> KeptAnswer | None:
        """Return the answer to an earlier request with this key; None for the first request.

        A request that arrives while the first is running waits for it. Raises KeyReused if the
        first request had another content.
        """
        facts = vars(self)
        # The insert of a second request waits here until the first one commits or rolls back.
        cursor.execute(query("idempotency.begin"), facts)
        if cursor.rowcount:
            return None
        cursor.execute(query("idempotency.known"), facts)
        request_sha256, status, body = fetch_one(cursor)
        if request_sha256 != self.request_sha256:
            raise KeyReused(f"the Idempotency-Key {self.key!r} was used for another request")
        return KeptAnswer(status, body, again=True)

    def keep_answer(self, cursor: Cursor, answer: KeptAnswer) -> None:
        """Store the answer, in the transaction of the rows."""
        facts = {**vars(self), "status": answer.status, "body": answer.body}
        cursor.execute(query("idempotency.keep"), facts)
