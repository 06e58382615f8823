"""The table of terms: a full-text index of FTS5 on SQLite, a tsvector with a GIN index on PostgreSQL.

SQLite without FTS5 has no such table, and then nothing is indexed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, inspect, text
from sqlalchemy.engine import Connection

from worker.word_index.terms import QueryTerm

TABLE = "article_words"


def exists(connection: Connection) -> bool:
    """Return whether the store has the table."""
    return inspect(connection).has_table(TABLE)


def replace_terms(connection: Connection, terms: Sequence[tuple[int, str]]) -> None:
    """Write the terms of articles, given as (article id, terms with spaces between them)."""
    ids = [id_ for id_, _ in terms]
    if connection.dialect.name == "postgresql":
        connection.execute(_UPSERT, {"ids": ids, "texts": [one for _, one in terms]})
        return
    delete_terms(connection, ids)
    rows = [{"id": id_, "words": one} for id_, one in terms if one]
    if rows:
        connection.execute(_INSERT, rows)


def delete_terms(connection: Connection, ids: Iterable[int]) -> None:
    """Delete the terms of articles."""
    key = "article_id" if connection.dialect.name == "postgresql" else "rowid"
    statement = text(f"DELETE FROM {TABLE} WHERE {key} IN :ids").bindparams(bindparam("ids", expanding=True))  # noqa: S608  constants
    connection.execute(statement, {"ids": list(ids)})


def matching(connection: Connection, terms: Sequence[QueryTerm], limit: int) -> list[int]:
    """Return the ids of the articles that have all `terms`, the newest first, at most `limit`."""
    is_postgresql = connection.dialect.name == "postgresql"
    mark = ":*" if is_postgresql else "*"
    quote = "'" if is_postgresql else '"'
    # Terms consist of letters, digits and marks only; they are quoted so that none is an operator.
    parts = [f"{quote}{term.text}{quote}{mark if term.is_prefix else ''}" for term in terms]
    query = (" & " if is_postgresql else " AND ").join(parts)
    found = connection.execute(_MATCH_TSVECTOR if is_postgresql else _MATCH_FTS5, {"query": query, "limit": limit})
    return [row[0] for row in found]


_UPSERT = text(
    "INSERT INTO article_words (article_id, words)"
    " SELECT id, array_to_tsvector(string_to_array(terms, ' '))"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:texts AS text[])) AS given (id, terms)"
    " ON CONFLICT (article_id) DO UPDATE SET words = excluded.words WHERE article_words.words <> excluded.words"
)
_INSERT = text("INSERT INTO article_words (rowid, words) VALUES (:id, :words)")
_MATCH_TSVECTOR = text(
    "SELECT article_id FROM article_words WHERE words @@ CAST(:query AS tsquery) ORDER BY article_id DESC LIMIT :limit"
)
_MATCH_FTS5 = text("SELECT rowid FROM article_words WHERE article_words MATCH :query ORDER BY rowid DESC LIMIT :limit")
