"""Internal tables: receipts, raw bytes, dead letters, pending work, leaders. Readers of articles do not need them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from worker.store.columns import HASH, ID, JSON_, REVISION, UtcDateTime, metadata

reference_state = Table(
    "reference_state",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("token", String(32), nullable=False, comment="random; changes with each change of a reference document"),
)
"""One row, `references`: its token tells processes to read again what they keep of the reference documents."""

enrichment_work = Table(
    "enrichment_work",
    metadata,
    Column(
        "kind",
        String(16),
        primary_key=True,
        comment="names: choose the name of a provider; articles: enrich those of a provider again, or all (0)",
    ),
    Column("subject_id", ID, primary_key=True, autoincrement=False),
    Column("cursor", ID, nullable=False, comment="id of the last article that was processed"),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False, comment="number of articles when the work began"),
    Column("since", UtcDateTime, nullable=False),
    Column(
        "version",
        BigInteger,
        nullable=False,
        server_default="1",
        comment="random; changes when the work is added again",
    ),
    Column("started", BigInteger, nullable=False, server_default="0", comment="the version when this pass began"),
)

url_work = Table(
    "url_work",
    metadata,
    Column(
        "kind",
        String(16),
        primary_key=True,
        comment="image: count its titles; target: update links to the article that the URL resolves to",
    ),
    Column("url_hash", HASH, primary_key=True),
    Column("cursor", ID, nullable=False, comment="id of the last article that was processed"),
    Column("version", BigInteger, nullable=False, comment="random; changes when the work is added again"),
    Column("started", BigInteger, nullable=False, comment="the version when this pass began"),
    Column("since", UtcDateTime, nullable=False),
)

document_frequencies = Table(
    "document_frequencies",
    metadata,
    Column("day", Date, primary_key=True, comment="a complete day; articles count on the day they arrived"),
    Column("documents", Integer, nullable=False),
    Column(
        "counts",
        LargeBinary,
        nullable=False,
        comment="in how many articles of the day each hashed feature occurs, compressed",
    ),
)

leaders = Table(
    "leaders",
    metadata,
    Column("role", String(16), primary_key=True, comment="a role that one process at a time may have"),
    Column(
        "token",
        BigInteger,
        nullable=False,
        comment="fencing token: greater with each leader, checked in each of its writes",
    ),
    Column("holder", Text, nullable=False, comment="host and process"),
    Column(
        "expires_at",
        UtcDateTime,
        nullable=False,
        comment="end of the lease by the database's clock; then another process may lead",
    ),
)

lanes = Table(
    "lanes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("highest", REVISION, nullable=False, comment="the highest entry id that has a receipt, as a revision"),
)

raw_documents = Table(
    "raw_documents",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("size", BigInteger, nullable=False, comment="number of bytes that were sent"),
    Column("bytes", LargeBinary, nullable=False, comment="all of them, or beyond the size limit the first 64 KiB"),
    Column("last_seen_at", UtcDateTime, nullable=False, index=True),
)

receipts = Table(
    "receipts",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("id", String(48), primary_key=True, comment="the entry id that XADD returned"),
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
    Column("code", Text, nullable=False, comment="problem code of the first error"),
    Column("problems", JSON_, nullable=False),
    Column("status", String(16), nullable=False, comment="open, replayed or discarded"),
    Column("edits", Integer, nullable=False, comment="how often an operator edited it"),
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
    Column("raw_sha256", LargeBinary(32), comment="hash of the text that was sent"),
    Index("ix_dead_letter_actions_dead_letter_id", "dead_letter_id"),
)

source_hours = Table(
    "source_hours",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="a provider's domain; empty: all documents of the source"),
    Column("at", UtcDateTime, primary_key=True, comment="the hour in which the documents arrived"),
    Column("documents", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False, comment="when the first document of the hour arrived"),
    Column("last_at", UtcDateTime, nullable=False),
    Index("ix_source_hours_at", "at"),
)

source_rhythms = Table(
    "source_rhythms",
    metadata,
    Column("source", Text, primary_key=True),
    Column("site", Text, primary_key=True, comment="as in source_hours"),
    Column("lane", Text, nullable=False, comment="lane of the newest document"),
    Column("last_at", UtcDateTime, nullable=False, comment="when the newest document arrived"),
    Column("last_hour", UtcDateTime, nullable=False, comment="the newest hour in source_hours"),
    Column("learnt_hour", UtcDateTime, comment="the newest hour from which the columns below were learnt"),
    Column("gaps", Integer, nullable=False, comment="number of gaps between documents that were measured; 0: too few"),
    Column("usual_gap", Float, comment="median gap in seconds"),
    Column("long_gap", Float, comment="95th percentile of the gaps in seconds"),
    Column("longest_gap", Float, comment="longest gap in seconds"),
    Column("silent_at", UtcDateTime, comment="when its silence becomes an alarm"),
    Column("known_since", UtcDateTime, comment="when it had enough gaps for alarms; null: too few"),
    Column(
        "weekly", JSON_, nullable=False, comment="documents expected in each hour of the week, from Thursday 00:00 UTC"
    ),
    Column("usual_share", Float, comment="rejected share before the last day; null: too few documents"),
    Column(
        "recent_documents",
        Float,
        nullable=False,
        comment="how many of the newest documents are considered: about 50, or those of one roll-up",
    ),
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
    Column(
        "after_id",
        ID,
        nullable=False,
        server_default="0",
        comment="of the word index: articles that changed at until are indexed up to this id",
    ),
)

standstills = Table(
    "standstills",
    metadata,
    Column(
        "began", UtcDateTime, primary_key=True, comment="when a working worker was seen for the last time before it"
    ),
    Column("ended", UtcDateTime, nullable=False),
)

operator_actions = Table(
    "operator_actions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", String(16), nullable=False, comment="console, command or worker"),
    Column("action", String(40), nullable=False, comment="as in the commands, such as lane pause"),
    Column("subject", Text, nullable=False, comment="what it was applied to"),
    Column("reason", Text, nullable=False),
    Index("ix_operator_actions_at", "at"),
)
