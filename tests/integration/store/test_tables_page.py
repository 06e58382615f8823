"""schemas/TABLES.md, the page for readers of the store: it has every column, and its queries run."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from tests.support.servers import ROOT
from worker.store.tables import articles
from worker.word_index.stored_terms import TABLE

PAGE = (ROOT / "schemas" / "TABLES.md").read_text("utf-8")
TABLES = articles.metadata.tables
TYPES = {
    "BigInteger": "integer", "Integer": "integer", "Text": "text", "String": "text", "UtcDateTime": "time", "JSON": "JSON",
    "LargeBinary": "bytes", "Boolean": "boolean", "Float": "number",
}  # fmt: skip


def sections():
    """Return the name of each table that has a section → its rows (column, type, may be empty, meaning)."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return {
        name: [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if line[:3] == "| `"
        ]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
        if name in TABLES
    }


@pytest.mark.parametrize("name", sections())
def test_a_table_is_described_with_each_of_its_columns(name):
    stated = [row[:3] for row in sections()[name]]
    columns = [
        [f"`{column.name}`", TYPES[type(column.type).__name__], "yes" if column.nullable else ""]
        for column in TABLES[name].columns
    ]
    assert stated == columns
    assert [row[0] for row in sections()[name] if not row[3]] == [], "each column has a meaning"


def test_each_table_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", PAGE)) | set(sections())
    assert set(TABLES) - named == set()
    assert TABLE in named


def test_the_tables_for_readers_have_a_section():
    assert list(sections()) == [
        "articles", "documents", "article_urls", "links", "stories", "images", "topics", "article_topics", "providers",
    ]  # fmt: skip


def test_the_diagram_names_tables_and_columns_that_exist():
    diagram = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[1]
    arrows = re.findall(r"^    (\w+) \S+ (\w+) : \"(.*)\"$", diagram, re.MULTILINE)
    assert len(arrows) == len(diagram.splitlines()) - 1
    for left, right, columns in arrows:
        known = {*TABLES[left].c.keys(), *TABLES[right].c.keys()}
        assert set(re.findall(r"\w+", columns)) <= known


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL))
def test_each_query_runs(engine, query):
    with engine.connect() as connection:
        connection.execute(text(query.replace(":", r"\:")))
