"""Answers by Idempotency-Key: a request that is sent again gets the answer of the first time.

After the IETF's draft "The Idempotency-Key HTTP Header Field". The answer is written in the
transaction of the rows that it speaks of, so there is never the one without the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.errors import KeyReused


@dataclass(frozen=True)
class KeptAnswer:
    """An answer: status and body, and whether it had been given before."""

    status: int
    body: str
    again: bool = False


@dataclass(frozen=True)
class IdempotentRequest:
    """A request that takes effect once: who asks, under which key, the sha256 of all it says."""

    caller: str
    key: str
    request_sha256: str

    def answer(self, cursor: Cursor, work: Callable[[Cursor], KeptAnswer]) -> KeptAnswer:
        """Do the work and keep its answer, or return the answer that is kept.

        A request that comes while the first one is at work waits for it. Raises KeyReused where
        the first one said something else.
        """
        facts = vars(self)
        cursor.execute(query("idempotency.begin"), facts)
        if not cursor.rowcount:
            cursor.execute(query("idempotency.known"), facts)
            request_sha256, status, body = fetch_one(cursor)
            if request_sha256 != self.request_sha256:
                raise KeyReused(f"the Idempotency-Key {self.key!r} was used for another request")
            return KeptAnswer(status, body, again=True)
        found = work(cursor)
        cursor.execute(
            query("idempotency.keep"), facts | {"status": found.status, "body": found.body}
        )
        return found
