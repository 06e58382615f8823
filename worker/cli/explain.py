"""`copydesk explain`: everything that is known about a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import typer
from redis import RedisError

from worker.cli.local_stack import open_store, quick_client, why_no_answer
from worker.cli.terminal import moment, plain, print_json
from worker.errors import Exit
from worker.queries import explanation
from worker.queries.advice import advice
from worker.queries.explanation import (
    ExplainedArticle,
    ExplainedDocument,
    FullExplanation,
)
from worker.queries.pending import MAX_SEARCHED, PendingEntry, added_again, find_pending, original_id, pending
from worker.queries.rows import RowDict
from worker.queries.stories import Story
from worker.queue.connection import connect
from worker.queue.lease_queue import is_entry_id
from worker.settings import INTERNAL_LANE, Settings, settings
from worker.telemetry.logs import mask


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk explain https://www.harbour-courier.example/news/business/article243103.html"
    )(explain)


def explain(
    query: Annotated[
        str, typer.Argument(metavar="ID|URL|KEY", help="a receipt id, an article's URL, or a producer's key")
    ],
    limit: Annotated[
        int,
        typer.Option("--most", min=1, max=100_000, help="show at most so many of its newest receipts and documents"),
    ] = 50,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Show what became of a document, and what to do next.

    It shows receipts, timings, problems, the article and the documents that it comes from, aliases and links.
    """
    config = settings()
    engine = open_store(config)
    found = _in_redis(config, query)
    waiting, again = found.waiting, found.added_again
    with engine.connect() as connection:
        stored = explanation.explain(connection, query, limit=limit, rules=config.heat_rules)
        if found.original and not stored["receipts"]:
            stored = explanation.explain(connection, found.original, limit=limit, rules=config.heat_rules)
        elif again and not stored["receipts"]:
            stored = explanation.explain(connection, again[-1], limit=limit, rules=config.heat_rules)
            waiting = _in_redis(config, again[-1]).waiting
    engine.dispose()
    if stored["receipts"] and is_entry_id(query):
        waiting = []
    full = FullExplanation(**stored, added_again_as=again, pending=waiting, next=advice(stored, waiting))
    if json_:
        print_json(full)
    else:
        for line in _lines(full):
            typer.echo(plain(line))
    is_known = any((full["article"], full["documents"], full["receipts"], full["dead_letters"], full["pending"]))
    if not is_known and not json_:
        typer.echo(_UNKNOWN, err=True)
    if found.partial:
        typer.echo(_PARTIAL.format(", ".join(found.partial), MAX_SEARCHED), err=True)
    if found.error and not full["receipts"]:
        typer.echo(f"Redis could not be read, so it may still wait: {found.error}", err=True)
    return Exit.OK if is_known else Exit.REJECTED


_UNKNOWN = (
    "Nothing is known about it. Is it spelled as its sender spells it? copydesk status shows the backlog, copydesk tail "
    "shows new outcomes."
)
_PARTIAL = (
    "Only the newest waiting entries of {} were searched, at most {:,} a lane. An older one is found by its receipt id."
)


class _Found(NamedTuple):
    """What Redis knows of a document. `added_again`: the ids under which its entry was added again; `original`: the id that
    it had before. `partial`: the lanes of which only a part was searched. `error`: why Redis could not be read.
    """

    waiting: list[PendingEntry]
    added_again: list[str]
    original: str | None = None
    partial: Sequence[str] = ()
    error: str | None = None


def _in_redis(config: Settings, query: str) -> _Found:
    try:
        with connect(config.redis, retries=0) if config.redis_url else quick_client(config) as client:
            lanes = [*(lane.name for lane in config.lane_list), INTERNAL_LANE]
            if is_entry_id(query):
                again, original = added_again(client, lanes, query), original_id(client, lanes, query)
                return _Found(pending(client, lanes, query), again, original)
            waiting, partial = find_pending(client, lanes, query)
            return _Found(waiting, [], None, partial)
    except (RedisError, OSError) as error:
        return _Found([], [], error=mask(str(error)) if config.redis_url else " ".join(why_no_answer(config, error)))


def _lines(full: FullExplanation) -> Iterator[str]:
    for id_ in full["added_again_as"]:
        yield f"its lane was repaired or lost, and it was added again as {id_}: copydesk explain {id_}"
    if full["article"]:
        yield from _of_article(full["article"])
    for document in full["documents"]:
        changed = f"changed {moment(document['changed_at'])}"
        yield f"document {document['source']} / {document['key']} ({_document_state(document)}), {changed}"
    for entry in full["pending"]:
        holder = f" by {entry['holder']}" if entry["holder"] else ""
        yield f"entry {entry['id']} on {entry['lane']}: pending, {entry['state']}{holder}, for {entry['waited_seconds']} s"
        yield f"  from {entry['source'] or '(no source)'}, key {entry['key'] or '(none)'}, attempts {entry['attempts']}"
    for receipt in full["receipts"]:
        yield from _of_receipt(receipt)
    for dead_letter in full["dead_letters"]:
        number = dead_letter["dead_letter"]
        yield f"dead letter {number} ({dead_letter['status']}): {dead_letter['code']}, see: copydesk dead show {number}"
    lengths = {
        "documents": len(full["documents"]),
        "receipts": len(full["receipts"]),
        "dead_letters": len(full["dead_letters"]),
    }
    for name, shown in lengths.items():
        if full["counts"][name] > shown:
            label = name.replace("_", " ")
            yield f"… the newest {shown:,} of {full['counts'][name]:,} {label} (--most shows more)"
    for sentence in full["next"]:
        yield f"next: {sentence}"


def _of_article(article: ExplainedArticle) -> Iterator[str]:
    yield f"article {article['id']} ({article['state']}): {_title(article['title'])}"
    yield f"  {_url(article['url'])}"
    yield f"  {article['kind']}, published {moment(article['published_at'])}"
    yield f"  heat: {article['heat']['explanation']}"
    if story := article["in_story"]:
        yield from _of_story(story, article)
    elif article["link_state"] == "pending":
        yield "  the linker has not processed it yet"
    if article["link_state"] == "provisional":
        yield "  linked provisionally: it is linked again when arrivals pause"
    if article["link_state"] == "outdated":
        yield "  its links are of an older rule: it is linked again when no other article waits, see: copydesk relink"
    for alias in article["aliases"]:
        yield f"  known as {alias['claim']}: {alias['url']}"
    for link in article["links_to"]:
        score = f" {link['score']:.2f} by {link['reason']}" if link["score"] is not None else ""
        yield f"  {link['kind']}{score} -> {_title(link['title'])}  {_url(link['canonical_url'])}"
    for link in article["named_by"]:
        yield f"  {link['kind']} <- {_title(link['title'])}  {_url(link['canonical_url'])}"
    if article["named_by_count"] > len(article["named_by"]):
        yield f"  … named by {article['named_by_count']:,} articles in all"


def _of_story(story: Story, article: ExplainedArticle) -> Iterator[str]:
    is_lead = story["lead"] is not None and story["lead"]["id"] == article["id"]
    lead = "as its lead" if is_lead else "led by another"
    yield f"  in story {story['id']} of {story['size']} articles, {lead}, heat {story['heat']}"
    if article["story_heat"]:
        yield f"    heat of the story: {article['story_heat']['explanation']}"
    for member in story["articles"]:
        if member["id"] != article["id"]:
            yield f"    {_title(member['title'])}  {_url(member['url'])}"


def _document_state(document: ExplainedDocument) -> str:
    if document["retracted"]:
        return "retracted"
    if document["shown"]:
        return "shown"
    return "not shown: a newer document describes the article" if document["tells"] else "describes another article"


def _of_receipt(receipt: RowDict) -> Iterator[str]:
    changed = f", changed {', '.join(receipt['changed'])}" if receipt["changed"] else ""
    yield f"receipt {receipt['id']} on {receipt['lane']}: {receipt['outcome']}{changed}"
    trace = f", trace {receipt['trace_id']}" if receipt["trace_id"] else ""
    times = f"received {moment(receipt['received_at'])}, settled {moment(receipt['settled_at'])}"
    yield f"  {times} by {receipt['worker']}{trace}"
    attempt = f", attempt {receipt['attempts']}" if receipt["attempts"] > 1 else ""
    origin = f"from {receipt['source']}, key {receipt['key'] or '(none)'}"
    yield f"  {origin}; {receipt['took_seconds']} s from arrival to outcome{attempt}"
    if receipt["timings"]:
        yield "  its batch took " + ", ".join(f"{stage} {ms} ms" for stage, ms in receipt["timings"].items())
    for problem in receipt["problems"]:
        yield f"  {problem['severity']} {problem['code']}: {problem['message']}"


def _title(title: str | None) -> str:
    return title or "(no title)"


def _url(url: str | None) -> str:
    return url or "(no URL)"
