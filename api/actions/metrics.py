"""Metrics, for the API and the console: find them, and compute them or use the cache."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from flask import current_app, g

from api.shared.context import context, reading, writing
from rowboat.database.connections import Cursor, transaction
from rowboat.metrics.answer_cache import AnswerCache
from rowboat.metrics.definitions import Metric, all_metrics, find_metric
from rowboat.metrics.figures import (
    MetricFigures,
    Moment,
    Values,
    add_up_writes,
    begin_moment,
    compute_figures,
)

Found = TypeVar("Found")
Answer: TypeAlias = tuple[bytes, Any]
_MANY = 1000  # rows of write counts at which they are merged into one per table


def visible_metrics() -> list[Metric]:
    """Return the metrics that read only tables that the caller may see."""
    return [each for each in all_metrics().values() if all(map(g.caller.sees, each.tables))]


def visible_metric(name: str) -> Metric:
    """Return a metric; raises UnknownMetric, or Forbidden if the key excludes one of its tables."""
    found = find_metric(name)
    for table in found.tables:
        g.caller.check(table)
    return found


def answer_figures(
    wanted: Metric, values: Values, form: tuple[Any, ...], encode: Callable[[MetricFigures], Answer]
) -> Answer:
    """Return the figures of a metric, encoded by `encode`, from the cache if they are current.

    `form` distinguishes encodings of the same figures in the cache, such as JSON and CSV.
    """
    asked = (*values.items(), *form)
    return keep_answer(
        wanted, asked, lambda cursor, now: compute_figures(cursor, wanted, values, now), encode
    )


def keep_answer(
    wanted: Metric,
    asked: tuple[Any, ...],
    compute: Callable[[Cursor, Moment], Found],
    encode: Callable[[Found], Answer],
) -> Answer:
    """Return an answer about a metric: from the cache if its tables have not changed since.

    `asked` is the cache key within the metric. On a miss, `compute` runs in one snapshot and
    `encode` turns its result into (body, anything to keep with it).
    """
    cache: AnswerCache = current_app.extensions["figures"]
    key = wanted.name, *asked
    # A hit costs a single statement in autocommit mode instead of a transaction.
    if key in cache and (answer := cache.find(key, _version(wanted))):
        return answer
    with reading() as cursor:
        now = begin_moment(cursor, wanted)
        with cache.made_once(key, now.version) as answer:
            if answer is None:
                answer = encode(compute(cursor, now))
                cache.keep(key, now.version, *answer)
    if now.pieces > _MANY:
        writing(add_up_writes)
    return answer


def _version(wanted: Metric) -> str | None:
    """Return the current version of a metric's tables; None if its result must not be cached."""
    with context().single.connection() as connection, transaction(connection) as cursor:
        return begin_moment(cursor, wanted).version
