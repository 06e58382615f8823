"""`copydesk explain`: everything that is known about a document."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from redis import RedisError

from worker.cli.local_stack import open_store, quick_client, why_no_answer
from worker.cli.terminal import moment, plain, print_json
from worker.errors import Exit
from worker.queries.advice import advice
from worker.queries.explanation import explain as look
from worker.queries.pending import added_again, pending
from worker.queue.connection import connect
from worker.settings import INTERNAL_LANE, Settings, settings
from worker.telemetry.logs import mask


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk explain https://www.harbour-courier.example/news/business/article243103.html"
    )(explain)


def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ID|URL|KEY", help="a receipt id, an article's URL, or a producer's key")
    ],
    most: Annotated[
        int, typer.Option(min=1, max=100_000, help="show at most so many of its newest receipts and documents")
    ] = 50,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> int:
    """Show what became of a document, and what to do next.

    It shows receipts, timings, problems, the article and the documents that it comes from, aliases and links.
    """
    config = settings()
    engine = open_store(config)
    with engine.connect() as connection:
        found = look(connection, wanted, most=most, rules=config.heat_rules)
        waiting, again, unasked = _in_redis(config, wanted)
        if again and not found["receipts"]:
            found = look(connection, again[-1], most=most, rules=config.heat_rules)
            waiting = _in_redis(config, again[-1])[0]
        found |= {"added_again_as": again, "pending": [] if found["receipts"] else waiting}
    engine.dispose()
    found["next"] = advice(found)
    if json_:
        print_json(found)
    else:
        _print(found)
    known = found["article"] or found["documents"] or found["receipts"] or found["dead_letters"] or found["pending"]
    if not known and not json_:
        typer.echo("Nothing is known of it. A document without an outcome is found by its receipt id only; is the spelling that "
                   "of its sender? copydesk status shows the backlog, copydesk tail what comes.", err=True)  # fmt: skip
    if unasked and not found["receipts"]:
        typer.echo(f"Redis could not be asked whether it still waits: {unasked}", err=True)
    return Exit.OK if known else Exit.REJECTED


def _in_redis(config: Settings, wanted: str) -> tuple[list[dict[str, Any]], list[str], str | None]:
    """Return what still waits, the ids under which it was added again, and why Redis could not be read (or None)."""
    try:
        with connect(config.redis, retries=0) if config.redis_url else quick_client(config) as client:
            lanes = [*(lane.name for lane in config.lane_list), INTERNAL_LANE]
            return pending(client, lanes, wanted), added_again(client, lanes, wanted), None
    except (RedisError, OSError) as error:
        return [], [], mask(str(error)) if config.redis_url else " ".join(why_no_answer(config, error))


def _print(found: dict[str, Any]) -> None:
    def line(text: str) -> None:
        typer.echo(plain(text))

    for id_ in found["added_again_as"]:
        line(f"its lane was repaired or lost, and it was added again as {id_}: copydesk explain {id_}")
    article = found["article"]
    if article:
        line(f"article {article['id']} ({article['state']}): {article['title'] or '(no title)'}")
        line(f"  {article['url'] or '(no URL)'}")
        story = article["in_story"]
        line(f"  {article['kind']}, published {moment(article['published_at'])}")
        line(f"  heat: {article['heat']['explanation']}")
        if story:
            lead = "which it leads" if story["lead"] and story["lead"]["id"] == article["id"] else "led by another"
            line(f"  in story {story['id']} of {story['size']} articles, {lead}, heat {story['heat']}")
            if article["story_heat"]:
                line(f"    heat of the story: {article['story_heat']['explanation']}")
            for member in story["articles"]:
                if member["id"] != article["id"]:
                    line(f"    {member['title'] or '(no title)'}  {member['url']}")
        elif article["link_state"] == "pending":
            line("  the linker has not looked at it yet")
        for alias in article["aliases"]:
            line(f"  known as {alias['claim']}: {alias['url']}")
        for link in article["links_to"]:
            why = f" {link['score']:.2f} by {link['reason']}" if link["score"] is not None else ""
            line(f"  {link['kind']}{why} -> {link['title'] or '(no title)'}  {link['canonical_url']}")
        for link in article["named_by"]:
            line(f"  {link['kind']} <- {link['title'] or '(no title)'}  {link['canonical_url']}")
        if article["named_by_count"] > len(article["named_by"]):
            line(f"  … named by {article['named_by_count']:,} articles in all")
    for document in found["documents"]:
        state = (
            "retracted" if document["retracted"]
            else "shown" if document["shown"]
            else "not shown, an older teller" if document["tells"]
            else "tells another article"
        )  # fmt: skip
        line(f"document {document['source']} / {document['key']} ({state}), changed {moment(document['changed_at'])}")
    for entry in found["pending"]:
        holder = f" by {entry['holder']}" if entry["holder"] else ""
        line(
            f"entry {entry['id']} on {entry['lane']}: pending, {entry['state']}{holder}, for {entry['waited_seconds']} s"
        )
        line(f"  from {entry['source'] or '(no source)'}, key {entry['key'] or '(none)'}, attempts {entry['attempts']}")
    for receipt in found["receipts"]:
        changed = f", changed {', '.join(receipt['changed'])}" if receipt["changed"] else ""
        line(f"receipt {receipt['id']} on {receipt['lane']}: {receipt['outcome']}{changed}")
        trace = f", trace {receipt['trace_id']}" if receipt["trace_id"] else ""
        line(
            f"  received {moment(receipt['received_at'])}, settled {moment(receipt['settled_at'])} by {receipt['worker']}{trace}"
        )
        tried = f", attempt {receipt['attempts']}" if receipt["attempts"] > 1 else ""
        line(
            f"  from {receipt['source']}, key {receipt['key'] or '(none)'}; {receipt['took_seconds']} s from arrival to outcome{tried}"
        )
        if receipt["timings"]:
            line("  its batch took " + ", ".join(f"{stage} {ms} ms" for stage, ms in receipt["timings"].items()))
        for problem in receipt["problems"]:
            line(f"  {problem['severity']} {problem['code']}: {problem['message']}")
    for dead in found["dead_letters"]:
        line(
            f"dead letter {dead['dead_letter']} ({dead['status']}): {dead['code']}, see: copydesk dead show {dead['dead_letter']}"
        )
    for name, label in (("documents", "documents"), ("receipts", "receipts"), ("dead_letters", "dead letters")):
        if found["counts"][name] > len(found[name]):
            line(f"… the newest {len(found[name]):,} of {found['counts'][name]:,} {label} (--most shows more)")
    for sentence in found["next"]:
        line(f"next: {sentence}")
