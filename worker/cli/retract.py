"""`copydesk retract`: retract documents by URL or key."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer
from sqlalchemy.engine import Connection

from worker.cli.local_stack import open_store, writer
from worker.cli.options import require_lane
from worker.cli.recording import record_action
from worker.cli.terminal import plain
from worker.errors import Exit
from worker.pipeline import normal_key
from worker.producer.client import submit_entry
from worker.queries.explanation import explain
from worker.settings import Settings, settings
from worker.telemetry.failpoints import failpoint


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: copydesk retract https://www.harbour-courier.example/news/business/article243103.html --yes"
    )(retract)


def retract(
    query: Annotated[str, typer.Argument(metavar="URL|KEY", help="the article's URL, or the producer's key")],
    source: Annotated[str | None, typer.Option(help="only documents of this source")] = None,
    lane: Annotated[
        str | None, typer.Option(help="the lane to use; by default the first that accepts the source")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show what would be retracted")] = False,
) -> int:
    """Retract the documents that have a key or show a URL.

    Older versions of them that arrive later are retracted too. Without --yes: show what would be retracted.
    """
    config = settings()
    engine = open_store(config)
    with engine.connect() as connection:
        documents = _live_documents(connection, query, source)
    engine.dispose()
    if not documents:
        typer.echo("No live document has this key or shows this URL.", err=True)
        return Exit.REJECTED
    retractions = [(_lane_for(config, lane, document), document) for document in sorted(documents)]
    if not yes:
        for _, document in retractions:
            typer.echo(f"would retract {document.label}")
        typer.echo("A dry run: nothing was retracted. Add --yes to retract them.", err=True)
        return Exit.OK
    with writer(config) as client:
        for target, document in retractions:
            id_ = submit_entry(client, target, None, source=document.source, key=document.key, op="retract")
            failpoint("retract.sent")
            typer.echo(f"{id_}\t{document.label}")
    record_action("retract", "; ".join(document.label for _, document in retractions))
    return Exit.OK


class _Document(NamedTuple):
    """What a retraction names: a source, and its key or the URL that its documents show."""

    source: str
    key: str

    @property
    def label(self) -> str:
        return plain(f"{self.source} / {self.key}")


def _live_documents(connection: Connection, query: str, source: str | None) -> set[_Document]:
    """Return the live documents with this key, or that show the article of this URL, of one source or of all.

    One retraction by the article's URL reaches all documents of a source that show it, also those in flight.
    """
    explanation = explain(connection, query, limit=10_000)
    article, is_url = explanation["article"], query.startswith(("http://", "https://"))
    documents = set()
    for document in explanation["documents"]:
        if document["retracted"] or source not in (None, document["source"]):
            continue
        if article and is_url and document["tells"]:
            documents.add(_Document(document["source"], article["url"] or query))
        elif document["key"] in (query, normal_key(query)):
            documents.add(_Document(document["source"], document["key"]))
    return documents


def _lane_for(config: Settings, name: str | None, document: _Document) -> str:
    """Return the lane for a retraction. A lane with a fixed source cannot be used for another source.

    Raises typer.BadParameter if there is none.
    """
    if name is not None:
        require_lane(config, name)
    accepting = [lane.name for lane in config.lane_list if lane.source in (None, document.source)]
    if name is None and not accepting:
        raise typer.BadParameter(f"no lane of COPYDESK_LANES accepts the source {plain(document.source)!r}")
    if name is not None and name not in accepting:
        fixed = next(lane.source for lane in config.lane_list if lane.name == name)
        raise typer.BadParameter(
            f"the lane {name} cannot retract {document.label}: it accepts only the source {fixed!r}"
        )
    return name or accepting[0]
