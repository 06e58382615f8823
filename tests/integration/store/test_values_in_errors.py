"""An error of the database quotes no value of a row, however it is turned into text."""

from __future__ import annotations

import traceback

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import SQLAlchemyError

from tests.support.refused_rows import refuse_rows
from worker.store.engine import writing
from worker.store.sql.flights import flights
from worker.store.sql.statements import insertion
from worker.store.tables import lanes

VALUE = "a-value-that-nobody-may-read"
ROWS = [{"name": VALUE, "highest": "1-0"}, {"name": f"{VALUE} 2", "highest": "1-0"}]


def refuse(engine):
    refuse_rows(engine, "lanes")


def repeat(engine):
    """Store the row of `ROWS`, so that the next one with this key is refused."""
    with engine.begin() as connection:
        connection.execute(insert(lanes), ROWS)


def by_core(engine):
    with writing(engine) as connection:
        connection.execute(insert(lanes), ROWS[0])


def by_core_many(engine):
    with writing(engine) as connection:
        connection.execute(insert(lanes), ROWS)


def by_text(engine):
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO lanes (name, highest) VALUES (:name, :highest)"), ROWS)


def by_flight(engine):
    with flights(engine) as transaction:
        transaction.execute(insertion(engine.dialect.name, lanes, ("name", "highest"), [(VALUE, "1-0")]))
        transaction.commit()


def by_later_flight(engine):
    with flights(engine) as transaction:
        transaction.send()
        for _ in range(2):
            transaction.execute(insertion(engine.dialect.name, lanes, ("name", "highest"), [(VALUE, "1-0")]))
        transaction.send()


@pytest.mark.parametrize("write", [by_core, by_core_many, by_text, by_flight, by_later_flight])
@pytest.mark.parametrize("prepare", [refuse, repeat])
def test_the_text_of_an_error_has_no_value_of_the_row(engine, prepare, write):
    prepare(engine)
    with pytest.raises(SQLAlchemyError) as raised:
        write(engine)
    error = raised.value
    for shown in (str(error), repr(error), str(error.orig), repr(error.orig), *traceback.format_exception(error)):
        assert VALUE not in shown
    reason = {"refuse": "refused", "repeat": "unique"}[prepare.__name__]
    assert reason in str(error).lower(), "it still says why"
    assert reason in str(error.orig).lower()
