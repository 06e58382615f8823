"""Internal tables: receipts, raw bytes, dead letters, pending work, leaders. Readers of articles do not need them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from worker.store.columns import HASH, ID, JSON_, REVISION, UtcDateTime, metadata

reference_state = Table(
    "reference_state",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("token", String(32), nullable=False, comment="another after each change of a reference document"),
)
"""Tokens that tell processes to read again what they keep of rows that many articles share: one row for the content of
reference documents (`references`, which the column's comment describes), and one for deletions.
"""
DELETIONS = "deletions"
"""The row of `reference_state` whose token is another after each deletion of providers or topics."""

enrichment_work = Table(
    "enrichment_work",
    metadata,
    Column(
        "kind", String(16), primary_key=True, comment="names: of a provider; articles: of a provider, or of all (0)"
    ),
    Column("subject_id", ID, primary_key=True, autoincrement=False),
    Column("cursor", ID, nullable=False, comment="the last article that is done"),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False, comment="articles when it began"),
    Column("since", UtcDateTime, nullable=False),
    Column(
        "version", BigInteger, nullable=False, server_default="1", comment="random; another one when it is added again"
    ),
    Column("started", BigInteger, nullable=False, server_default="0", comment="the version when this pass began"),
)

url_work = Table(
    "url_work",
    metadata,
    Column("kind", String(16), primary_key=True, comment="image: count its titles; target: point links to its meaning"),
    Column("url_hash", HASH, primary_key=True),
    Column("cursor", ID, nullable=False, comment="the last article that is done"),
    Column("version", BigInteger, nullable=False, comment="random; another one when it is added again"),
    Column("started", BigInteger, nullable=False, comment="the version when this pass began"),
    Column("since", UtcDateTime, nullable=False),
)

document_frequencies = Table(
    "document_frequencies",
    metadata,
    Column("day", Date, primary_key=True, comment="of arrival, completed"),
    Column("documents", Integer, nullable=False),
    Column("counts", LargeBinary, nullable=False, comment="in how many of them each hashed feature occurs, compressed"),
)

leaders = Table(
    "leaders",
    metadata,
    Column("role", String(16), primary_key=True, comment="what only one process may do"),
    Column(
        "token", BigInteger, nullable=False, comment="fences: greater with each leader, checked in each of its writes"
    ),
    Column("holder", Text, nullable=False, comment="host and process"),
    Column("expires_at", UtcDateTime, nullable=False, comment="by the database's clock; afterwards anybody may lead"),
)

lanes = Table(
    "lanes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("highest", REVISION, nullable=False, comment="the highest id that has a receipt, in the form of revisions"),
)

raw_documents = Table(
    "raw_documents",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("size", BigInteger, nullable=False, comment="bytes that were sent"),
    Column("bytes", LargeBinary, nullable=False, comment="all of them, or beyond the size limit the first 64 KiB"),
    Column("last_seen_at", UtcDateTime, nullable=False, index=True),
)

receipts = Table(
    "receipts",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("id", String(48), primary_key=True, comment="what XADD returned"),
    Column("outcome", String(16), nullable=False),
    Column("op", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("key", Text),
    Column("url", Text),
    Column("article_id", ID),
    Column("document_id", ID),
    Column("raw_sha256", LargeBinary(32)),
    Column("problems", JSON_, nullable=False),
    Column("changed", JSON_, nullable=False, comment="names of the fields an update changed"),
    Column("received_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime, nullable=False),
    Column("worker", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("trace_id", String(32)),
    Column("timings", JSON_, nullable=False, comment="milliseconds of each stage of its batch"),
    Index("ix_receipts_settled_at", "settled_at"),
    Index("ix_receipts_key", "key", postgresql_using="hash"),
    Index("ix_receipts_article_id", "article_id"),
    Index("ix_receipts_document_id", "document_id"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", ID, primary_key=True),
    Column("lane", Text, nullable=False),
    Column("receipt_id", String(48), nullable=False),
    Column("op", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("key", Text),
    Column("revision", REVISION, nullable=False),
    Column("raw_sha256", LargeBinary(32)),
    Column("code", Text, nullable=False, comment="of its first error"),
    Column("problems", JSON_, nullable=False),
    Column("status", String(16), nullable=False, comment="open, replayed or discarded"),
    Column("edits", Integer, nullable=False, comment="how often an operator has mended it"),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_dead_letters_receipt", "lane", "receipt_id", unique=True),
    Index("ix_dead_letters_status", "status", "code"),
    Index("ix_dead_letters_created_at", "created_at"),
    Index("ix_dead_letters_raw_sha256", "raw_sha256", postgresql_using="hash"),
)

dead_letter_actions = Table(
    "dead_letter_actions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("dead_letter_id", ID, ForeignKey("dead_letters.id", ondelete="CASCADE"), nullable=False),
    Column("action", String(16), nullable=False, comment="edited, replayed, passed, failed or discarded"),
    Column("who", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("raw_sha256", LargeBinary(32), comment="of the text that was sent"),
    Index("ix_dead_letter_actions_dead_letter_id", "dead_letter_id"),
)

source_hours = Table(
    "source_hours",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="a provider's domain; empty: all documents of the source"),
    Column("at", UtcDateTime, primary_key=True, comment="when the hour begins in which the documents arrived"),
    Column("documents", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False, comment="arrival of the first"),
    Column("last_at", UtcDateTime, nullable=False),
    Index("ix_source_hours_at", "at"),
)

source_rhythms = Table(
    "source_rhythms",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="as in source_hours"),
    Column("lane", Text, nullable=False, comment="of its newest document"),
    Column("last_at", UtcDateTime, nullable=False, comment="arrival of its newest document"),
    Column("last_hour", UtcDateTime, nullable=False, comment="the newest of its source_hours"),
    Column("learnt_hour", UtcDateTime, comment="the newest hour from which the columns below were learnt"),
    Column("gaps", Integer, nullable=False, comment="from which it was learnt; 0: too few"),
    Column("usual_gap", Float, comment="seconds; the median"),
    Column("long_gap", Float, comment="seconds; the 95th percentile"),
    Column("longest_gap", Float, comment="seconds"),
    Column("silent_at", UtcDateTime, comment="when its silence becomes an alarm"),
    Column("known_since", UtcDateTime, comment="when it had enough gaps for alarms; null: too few"),
    Column(
        "weekly", JSON_, nullable=False, comment="documents expected in each hour of the week, from Thursday 00:00 UTC"
    ),
    Column("usual_share", Float, comment="rejected share before the last day; null: too few documents"),
    Column("recent_documents", Float, nullable=False, comment="its newest documents, about 50 or one roll-up"),
    Column("recent_rejected", Float, nullable=False, comment="how many of them were rejected"),
)

source_alarms = Table(
    "source_alarms",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="as in source_hours"),
    Column("kind", String(16), primary_key=True, comment="silent, low or rejected"),
    Column("since", UtcDateTime, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("facts", JSON_, nullable=False, comment="what was expected and what came"),
)

past_silences = Table(
    "past_silences",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="as in source_hours"),
    Column("began", UtcDateTime, primary_key=True, comment="the last document before it"),
    Column("ended", UtcDateTime, nullable=False, comment="a document came, or the alarm was a month old"),
)

roll_ups = Table(
    "roll_ups",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("until", UtcDateTime, nullable=False, comment="receipts settled before this time are counted"),
    Column("after_id", ID, nullable=False, server_default="0", comment="of words: articles changed at until, up to it"),
)

standstills = Table(
    "standstills",
    metadata,
    Column("began", UtcDateTime, primary_key=True, comment="the last sign of a working worker before it"),
    Column("ended", UtcDateTime, nullable=False),
)

operator_actions = Table(
    "operator_actions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", String(16), nullable=False, comment="console, command or worker"),
    Column("action", String(40), nullable=False, comment="in the words of the commands, like lane pause"),
    Column("subject", Text, nullable=False, comment="to what"),
    Column("reason", Text, nullable=False),
    Index("ix_operator_actions_at", "at"),
)
