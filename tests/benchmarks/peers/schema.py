"""The tables that every peer fills, of the same shape as Copydesk's, and the engine they use."""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, Engine, ForeignKey, Integer, UniqueConstraint, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    pass


class Provider(Base):
    __tablename__ = "providers"
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    domain: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]


class Topic(Base):
    __tablename__ = "topics"
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    url: Mapped[str] = mapped_column(unique=True)
    is_stub: Mapped[bool]
    kind: Mapped[str | None]
    category: Mapped[str | None]
    title: Mapped[str | None]
    excerpt: Mapped[str | None]
    published_at: Mapped[datetime | None]
    quality: Mapped[int | None]
    heat: Mapped[int | None]
    published: Mapped[bool | None]
    amp_url: Mapped[str | None]
    cdn_amp_url: Mapped[str | None]
    secured: Mapped[str | None]
    body: Mapped[str | None]
    provider_id: Mapped[int | None] = mapped_column(ForeignKey("providers.id"), index=True)


class Link(Base):
    __tablename__ = "links"
    source_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True, index=True)
    rank: Mapped[int]


class ArticleTopic(Base):
    __tablename__ = "article_topics"
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"), primary_key=True)


class Image(Base):
    __tablename__ = "images"
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"))
    url: Mapped[str]
    width: Mapped[int | None]
    height: Mapped[int | None]
    title: Mapped[str | None]
    __table_args__ = (UniqueConstraint("article_id", "url"),)


@cache
def engine() -> Engine:
    """Return one engine a process, with the usual production settings for SQLite."""
    made = create_engine(os.environ["BENCH_DATABASE_URL"])
    if made.dialect.name == "sqlite":

        @event.listens_for(made, "connect")
        def _pragmas(connection, _record):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA busy_timeout=30000")
            connection.isolation_level = None

        @event.listens_for(made, "begin")
        def _begin(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made


def insert(model):
    """Return INSERT … ON CONFLICT in the dialect of the database."""
    return (sqlite if engine().dialect.name == "sqlite" else postgresql).insert(model)


def create_all() -> None:
    Base.metadata.create_all(engine())
