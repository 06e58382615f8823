"""Compare the producer's manifest with the store and the streams: find documents that are lost, doubled, stale, stuck
or wrongly rejected.

The store must be a function of the latest accepted version of each document alone. So the expected state is computed
here
from the manifest in a few lines that share nothing with the worker but the canonical form of a URL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis
from sqlalchemy import Engine, select

from tests.faults.manifest import Reader, Sent
from worker.enrichment.urls.canonical_urls import canonicalise, url_hash
from worker.queue.lease_queue import GROUP, LeaseQueue
from worker.store import tables

_SHOWN = 5


@dataclass(slots=True)
class Findings:
    """Errors that the reconciliation found, by kind; empty if there are none. `counted`: how many rows it compared."""

    wrong: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not any(self.wrong.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counted.items())
        wrong = [f"{len(found)} {kind}, as {found[:_SHOWN]}" for kind, found in self.wrong.items() if found]
        return f"reconciliation of {counts}: " + ("clean" if not wrong else "; ".join(wrong))


class Reconciliation:
    """Reconciles when nothing is in flight: the producers have stopped and the backlog is empty."""

    def __init__(self, reader: Reader, engine: Engine, client: redis.Redis, lanes: tuple[str, ...]) -> None:
        self._reader, self._engine, self._client, self._lanes = reader, engine, client, lanes
        self.counters_restored = False
        """Redis was restored from an older file with its outcome counters, so they no longer agree with the store."""
        self.clock_set_back = False
        """The clock of Redis was set back, so revisions are other ids than those of the receipts, in the same order."""

    def run(self) -> Findings:
        """Run all checks."""
        findings = Findings()
        sent = self._reader.read()
        findings.counted["documents"] = len(sent)
        with self._engine.connect() as connection:
            receipts = connection.execute(
                select(tables.receipts).where(tables.receipts.c.lane.in_(self._lanes))
            ).all()  # fmt: skip
            findings.counted["receipts"] = len(receipts)
            accepted = self._receipts(findings, sent, receipts)
            self._dead_letters(findings, sent, receipts, connection)
            self._documents(findings, accepted, connection)
            self._articles(findings, accepted, connection)
        self._streams(findings, len(receipts))
        return findings

    def _receipts(self, findings: Findings, sent: dict[str, Sent], receipts: list[Any]) -> list[tuple[Sent, Any]]:
        """Check that every document has one receipt with the expected outcome; returns the accepted ones."""
        by_trace: dict[str | None, list[Any]] = defaultdict(list)
        untraced = {(line.source, line.key, line.op): trace for trace, line in sent.items() if line.untraced}
        for row in receipts:
            by_trace[row.trace_id or untraced.get((row.source, row.key, row.op))].append(row)
        accepted = []
        for trace, rows in by_trace.items():
            line = sent.get(trace or "")
            if line is None:
                findings.wrong["receipts of nothing that was sent"].append(rows[0].id)
                continue
            if len(rows) > 1:
                findings.wrong["doubled"].append((line.number, [row.id for row in rows]))
            row = max(rows, key=_moment)
            is_rejected = row.outcome == "rejected"
            if is_rejected != (line.code is not None):
                codes = [problem["code"] for problem in row.problems]
                findings.wrong["with the wrong outcome"].append((line.number, row.id, row.outcome, codes))
            if not is_rejected:
                accepted.append((line, row))
        for trace, line in sent.items():
            if line.sure and trace not in by_trace:
                findings.wrong["lost"].append((line.number, line.lane, line.id))
        return accepted

    def _dead_letters(self, findings: Findings, sent: dict[str, Sent], receipts: list[Any], connection: Any) -> None:
        dead = connection.execute(
            select(tables.dead_letters).where(tables.dead_letters.c.lane.in_(self._lanes))
        ).all()  # fmt: skip
        findings.counted["dead letters"] = len(dead)
        deserved = {
            (row.lane, row.id, sent[row.trace_id].code)
            for row in receipts
            if row.trace_id in sent and sent[row.trace_id].code
        }
        found = [(row.lane, row.receipt_id, row.code) for row in dead]
        findings.wrong["undeserved dead letters"] += sorted(set(found) - deserved)
        findings.wrong["missing dead letters"] += sorted(deserved - set(found))
        findings.wrong["doubled dead letters"] += [id_ for id_, count in Counter(found).items() if count > 1]

    def _documents(self, findings: Findings, accepted: list[tuple[Sent, Any]], connection: Any) -> None:
        """Check that each document row is at its newest accepted version."""
        stored = {(row.source, row.key): row for row in connection.execute(select(tables.documents))}
        newest, unordered = _newest(accepted), self._unordered(accepted)
        findings.counted["keys"] = len(newest)
        for identity, (line, row) in newest.items():
            found = stored.pop(identity, None)
            if found is None:
                findings.wrong["documents without a row"].append(identity)
            elif identity not in unordered and (
                self._order(found.revision, row), found.raw_sha256, found.retracted,
            ) != (
                _moment(row), row.raw_sha256, line.op == "retract",
            ):  # fmt: skip
                findings.wrong["stale documents"].append((identity, found.revision, row.id))
        findings.wrong["rows of no document"] += sorted(stored)

    def _articles(self, findings: Findings, accepted: list[tuple[Sent, Any]], connection: Any) -> None:
        """Check that each article shows the newest live document that describes it, with the links of that version."""
        source_documents: dict[bytes, tuple[Sent, Any]] = {}
        for line, row in _newest(accepted).values():
            described = url_hash(canonicalise(line.url))
            if line.op == "put" and (
                described not in source_documents or _moment(row) > _moment(source_documents[described][1])
            ):
                source_documents[described] = (line, row)
        articles = connection.execute(select(tables.articles)).all()
        live = {row.url_hash: row for row in articles if not row.is_stub and row.orphaned_at is None}
        findings.counted["articles"] = len(live)
        unordered = self._unordered(accepted)
        of_unordered = {url_hash(canonicalise(line.url)) for line, _ in accepted if _identity(line) in unordered}
        findings.wrong["articles that nobody tells"] = [
            live[found].canonical_url for found in set(live) - set(source_documents) - of_unordered
        ]
        links: dict[int, set[bytes]] = defaultdict(set)
        related = select(tables.links).where(tables.links.c.kind == "related")
        for link in connection.execute(related):
            links[link.source_id].add(link.target_hash)
        for described, (line, row) in source_documents.items():
            article = live.get(described)
            if described in of_unordered:
                continue
            if article is None:
                findings.wrong["articles missing"].append(line.url)
            elif (article.title, article.secured, self._order(article.revision, row)) != (
                line.title, line.secured, _moment(row),
            ):  # fmt: skip
                findings.wrong["stale articles"].append((line.url, article.title, line.title, row.id))
            elif links[article.id] != {url_hash(canonicalise(url)) for url in line.related}:
                findings.wrong["articles with other links"].append(line.url)

    def _unordered(self, accepted: list[tuple[Sent, Any]]) -> set[tuple[str, str]]:
        """Return the documents whose newest version is not known: ids do not order those on several lanes."""
        lanes: dict[tuple[str, str], set[str]] = defaultdict(set)
        for line, _ in accepted if self.clock_set_back else ():
            lanes[_identity(line)].add(line.lane)
        return {identity for identity, of_document in lanes.items() if len(of_document) > 1}

    def _order(self, revision: str, row: Any) -> tuple[int, int, str]:
        return _moment(row) if self.clock_set_back else _spelt(revision)

    def _streams(self, findings: Findings, receipts: int) -> None:
        settled = 0
        for lane in self._lanes:
            state = LeaseQueue(self._client, lane).state()
            settled += sum(count for outcome, count in state.outcomes.items() if outcome != "readded")
            if state.added != state.settled + state.backlog:
                findings.wrong["lanes whose sum does not come out"].append((lane, state))
            if state.backlog:
                findings.wrong["lanes with a backlog"].append((lane, state.backlog))
            pending = self._client.xpending_range(lane, GROUP, "-", "+", _SHOWN)
            if pending:
                findings.wrong["pending entries"].append((lane, pending))
        if settled != receipts and not self.counters_restored:
            findings.wrong["outcome counters that are not the store's"].append((settled, receipts))


def _newest(accepted: list[tuple[Sent, Any]]) -> dict[tuple[str, str], tuple[Sent, Any]]:
    """Return (source, key) → its newest accepted version. Without a given key, the canonical URL is the key."""
    newest: dict[tuple[str, str], tuple[Sent, Any]] = {}
    for line, row in accepted:
        identity = _identity(line)
        if identity not in newest or _moment(row) > _moment(newest[identity][1]):
            newest[identity] = (line, row)
    return newest


def _identity(line: Sent) -> tuple[str, str]:
    key = line.key if line.key and not line.key.startswith("https://") else canonicalise(line.key or line.url)
    return line.source, key


def _moment(receipt: Any) -> tuple[int, int, str]:
    """Return what orders versions: milliseconds, sequence, lane."""
    ms, _, sequence = receipt.id.partition("-")
    return int(ms), int(sequence), receipt.lane


def _spelt(revision: str) -> tuple[int, int, str]:
    """Format a stored revision, `ms-sequence:lane`."""
    head, _, lane = revision.partition(":")
    ms, _, sequence = head.partition("-")
    return int(ms), int(sequence), lane
