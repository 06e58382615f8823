"""Queries written once for both databases."""

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest

import worker.store
from worker.store.sql.query import Query

_MODULES = [
    one.name for one in pkgutil.walk_packages(worker.store.__path__, "worker.store.") if "migrations" not in one.name
]


def _queries() -> Iterator[tuple[str, Query]]:
    for module in _MODULES:
        for name, value in vars(importlib.import_module(module)).items():
            for one in value.values() if isinstance(value, Mapping) else [value]:
                if isinstance(one, Query):
                    yield f"{module}.{name}", one


def test_the_number_of_a_limit_is_in_the_text_for_postgresql():
    query = Query(tuple, "SELECT id FROM t WHERE id > {value cursor} ORDER BY id LIMIT {limit most}")
    assert (
        query.postgres({"cursor": 7, "most": 20})
        == "SELECT id FROM t WHERE id > %(cursor)s::bigint ORDER BY id LIMIT 20"
    )
    assert query.sqlite({"cursor": 7, "most": 20}) == ("SELECT id FROM t WHERE id > ? ORDER BY id LIMIT ?", [7, 20])


def test_a_limit_is_a_number():
    with pytest.raises(ValueError, match="invalid literal"):
        Query(tuple, "SELECT 1 LIMIT {limit most}").postgres({"most": "1; DROP TABLE t"})


def test_no_query_hides_its_limit_from_the_planner():
    """PostgreSQL plans a statement once for all values. It takes an unknown limit for a tenth of all rows."""
    texts = {name: query.postgres(defaultdict(int)) for name, query in _queries()}
    assert len(texts) > 20
    assert {name for name, text in texts.items() if re.search(r"(LIMIT|OFFSET) %", text)} == set()
