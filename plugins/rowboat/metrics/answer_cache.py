"""Answers of metrics in memory, each good for one version of the tables that it was made from."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

_PATIENCE = 10.0  # seconds for which a thread waits for the answer that another one is making


class AnswerCache:
    """At most `answers` answers of `size` bytes in total, by what was asked; thread-safe.

    An answer is (body, anything to return with it). The least recently used ones are dropped first.
    """

    def __init__(self, answers: int = 256, size: int = 32 * 2**20) -> None:
        self._answers, self._size, self._used = answers, size, 0
        self._kept: OrderedDict[Any, tuple[str, bytes, Any]] = OrderedDict()
        # The lock of an answer in the making lives as long as a thread holds a reference to it.
        self._making: WeakValueDictionary[Any, Any] = WeakValueDictionary()
        self._lock = Lock()

    def __contains__(self, asked: Any) -> bool:
        return asked in self._kept

    @contextmanager
    def made_once(self, asked: Any, version: str | None) -> Iterator[tuple[bytes, Any] | None]:
        """Let one thread at a time make an answer; yields it if another has made it meanwhile.

        A thread waits ten seconds at most, and then makes the answer itself.
        """
        with self._lock:
            making = self._making.setdefault((asked, version), Lock())
        is_alone = version is not None and making.acquire(timeout=_PATIENCE)
        try:
            yield self.find(asked, version)
        finally:
            if is_alone:
                making.release()

    def find(self, asked: Any, version: str | None) -> tuple[bytes, Any] | None:
        """Return the answer if there is one of this version."""
        with self._lock:
            kept = self._kept.get(asked)
            if kept is None or kept[0] != version:
                return None
            self._kept.move_to_end(asked)
            return kept[1:]

    def keep(self, asked: Any, version: str | None, body: bytes, more: Any) -> None:
        """Replace the answer of any other version; an answer without version is not kept."""
        with self._lock:
            self._drop(asked)
            if version is None or len(body) > self._size:
                return
            self._kept[asked] = version, body, more
            self._used += len(body)
            while len(self._kept) > self._answers or self._used > self._size:
                self._drop(next(iter(self._kept)))

    def _drop(self, asked: Any) -> None:
        if (gone := self._kept.pop(asked, None)) is not None:
            self._used -= len(gone[1])
