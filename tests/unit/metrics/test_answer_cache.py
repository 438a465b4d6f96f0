"""The cache of answers: bounds, versions, and one maker for each answer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep

from rowboat.metrics.answer_cache import AnswerCache


def test_bounds() -> None:
    cache = AnswerCache(answers=2, size=10)
    cache.keep("a", "1", b"aaaa", None)
    cache.keep("b", "1", b"bbbb", None)
    assert cache.find("a", "1") == (b"aaaa", None)
    cache.keep("c", "1", b"c", "more")  # one too many: b was asked for least lately
    assert [cache.find(each, "1") for each in "abc"] == [(b"aaaa", None), None, (b"c", "more")]
    cache.keep("d", "1", b"d" * 9, None)  # too many bytes with a
    assert [cache.find(each, "1") for each in "acd"] == [None, (b"c", "more"), (b"d" * 9, None)]
    cache.keep("e", "1", b"e" * 11, None)  # too many bytes alone
    assert [cache.find(each, "1") for each in "cde"] == [(b"c", "more"), (b"d" * 9, None), None]


def test_versions() -> None:
    cache = AnswerCache(size=10)
    cache.keep("a", "1", b"old", None)
    assert cache.find("a", "2") is None
    for _ in range(5):
        cache.keep("a", "2", b"newest", None)
    assert cache.find("a", "2") == (b"newest", None)
    assert cache.find("a", "1") is None
    cache.keep("a", None, b"of none", None)
    assert (cache.find("a", None), cache.find("a", "2")) == (None, None)


def test_one_thread_makes_an_answer() -> None:
    cache, start, made = AnswerCache(), Barrier(8), list[int]()

    def ask(n: int) -> bytes:
        start.wait()
        with cache.made_once("a", "1") as known:
            if known:
                return known[0]
            made.append(n)
            sleep(0.05)  # long enough for the others to ask
            cache.keep("a", "1", b"answer", None)
            return b"answer"

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {b"answer"}
    assert len(made) == 1
