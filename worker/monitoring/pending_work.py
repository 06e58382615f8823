"""Says what background work the store has left, as sentences for `status` and the console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from worker.monitoring.status import WorkStatus

_SUMS = {
    "peers": "the heat of the articles that list {:,} changed articles",
    "image": "the titles under which {:,} images are shown",
    "target": "the links to {:,} URLs that mean another article now",
}
"""What is computed from many articles after a batch, by the kind of work."""


def pending_work_sentences(works: Iterable[WorkStatus]) -> Iterator[str]:
    """Yield a sentence for each kind of work: names and retractions are counted, for there may be hundreds."""
    counts = {"names": 0, "retract": 0}
    for work in works:
        if work.kind in counts:
            counts[work.kind] += 1
        elif work.kind in _SUMS:
            yield f"pending: {_SUMS[work.kind].format(work.total)}"
        else:
            subject = f"the articles of provider {work.subject}" if work.subject else "all articles"
            yield f"enriching: {subject}, {work.done:,} of {work.total:,} done, because a reference document changed"
    if counts["names"]:
        yield f"enriching: the names of {_counted(counts['names'], 'provider')} are not counted yet"
    if counts["retract"]:
        yield f"retracting: more documents that show the URLs of {_counted(counts['retract'], 'retracted document')}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
