"""What the API and the console both do with metrics: find them, answer them from the cache."""

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
_MANY = 1000  # counts of writes that are added up


def visible_metrics() -> list[Metric]:
    """Return the metrics whose tables the caller may see."""
    return [each for each in all_metrics().values() if all(map(g.caller.sees, each.tables))]


def visible_metric(name: str) -> Metric:
    """Find a metric; raises UnknownMetric, and Forbidden where the caller's key does not hold."""
    found = find_metric(name)
    for table in found.tables:
        g.caller.check(table)
    return found


def answer_figures(
    wanted: Metric, values: Values, form: tuple[Any, ...], encode: Callable[[MetricFigures], Answer]
) -> Answer:
    """Return the figures of a metric in a form, made once while they hold."""
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
    """Return what is asked of a metric, from the cache while its tables are as they were."""
    cache: AnswerCache = current_app.extensions["figures"]
    key = wanted.name, *asked
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
    """Return the version of a metric's tables, by one statement and no more."""
    with context().single.connection() as connection, transaction(connection) as cursor:
        return begin_moment(cursor, wanted).version
