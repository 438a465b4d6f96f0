"""Answers from the cache are never older than the rows, whoever writes in the meantime."""

import json
from random import Random
from typing import Any

import psycopg2
import pytest

from rowboat.database.connections import Connection, transaction
from rowboat.metrics.answer_cache import AnswerCache
from rowboat.metrics.figures import begin_moment, compute_figures
from tests.conftest import Boat
from tests.support.figures import BOTH, HIRES, WRITES


class Reader:
    """Answers as the API does, and compares each answer with the rows as they are."""

    def __init__(self, boat: Boat) -> None:
        self.connection, self.cache, self.hits = boat.connect("api"), AnswerCache(), 0

    def read(self) -> None:
        for wanted in BOTH:
            with transaction(self.connection) as cursor:
                now = begin_moment(cursor, wanted)
                true = compute_figures(cursor, wanted, {"year": 2021}, now).document()
            kept = self.cache.find(wanted.name, now.version)
            if kept is None:
                self.cache.keep(wanted.name, now.version, encoded(true), None)
            else:
                self.hits += 1
                assert kept[0] == encoded(true)


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document | {"as_of": None}).encode()


STEPS = (
    f"insert into {HIRES} (employee_name, hired_date, department_id, job_id)"
    " select 'A', '2021-06-01Z', 1 + random()::integer, 1 + random()::integer",
    f"update {HIRES} set job_id = 3 - job_id where id = (select min(id) from {HIRES})",
    f"delete from {HIRES} where id = (select max(id) from {HIRES})",
    "update hired_employees.departments set department = department || '!' where id = 1",
    "savepoint s",
    "rollback to s",
    "select 1",
)


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "by the snapshot"])
@pytest.mark.parametrize("seed", range(3))
def test_never_stale(crew: Boat, seed: int, counted: bool) -> None:
    """Three writers whose transactions overlap, two readers with caches of their own."""
    if not counted:
        crew.query(f"alter table {HIRES} disable trigger rowboat_written")
    random = Random(seed)
    writers = [psycopg2.connect(crew.uri(role)) for role in ("owner", "api", "loader")]
    readers = [Reader(crew), Reader(crew)]
    try:
        for _ in range(150):
            step(random, random.choice(writers))
            random.choice(readers).read()
    finally:
        for each in writers:
            each.close()
    assert sum(each.hits for each in readers) > 20


def step(random: Random, writer: Connection) -> None:
    """Let a writer go on, commit or give up; whoever would wait for another gives up."""
    choice = random.random()
    if choice < 0.25:
        writer.commit()
    elif choice < 0.35:
        writer.rollback()
    else:
        cursor = writer.cursor()
        try:
            cursor.execute("set local lock_timeout = '10ms'")
            cursor.execute(random.choice(STEPS))
        except psycopg2.Error:
            writer.rollback()


def test_a_writer_that_was_there_before(crew: Boat) -> None:
    """It has written and not committed while the answer is computed."""
    reader = Reader(crew)
    writer = crew.connect("owner")
    with transaction(writer) as cursor:
        cursor.execute(WRITES["delete"])
        reader.read()
        reader.read()
        assert reader.hits == 2
    reader.read()
    assert reader.hits == 2
