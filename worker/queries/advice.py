"""Advice: what an operator can do next about a document, by its outcome. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from worker.monitoring.source_pauses import resume_command
from worker.queries.explanation import Explanation
from worker.queries.pending import PendingEntry
from worker.queries.rows import RowDict

_OF_OUTCOME = {
    "unchanged": "It is equal to what was stored, except for `secured`. Nothing to do.",
    "superseded": "A newer version of this document is in the store, so this one is not shown. Nothing to do.",
    "retracted": "It was retracted. To bring it back, send it again.",
    "rejected": "It was rejected; its dead letter was edited, replayed or discarded since.",
}

_OF_THE_WORKER = {
    "poison": "The processes that read it ended, by its content or by the load of the machine. Correcting it may not help: see "
    "copydesk times and the log of the worker at that time.",
    "lane_unusable": "Its lane could take no documents when it came. Nothing in it has to be corrected.",
    "internal_error": "The worker failed on it; its log has the error. Its sender cannot correct it.",
}
"""The codes of which the sender of a document is not the cause."""


def advice(explanation: Explanation, waiting: Sequence[PendingEntry]) -> list[str]:
    """Return sentences for the command `explain`. The receipt that was asked for counts, else the newest."""
    if waiting:
        return [_of_waiting(waiting[0])]
    for dead_letter in explanation["dead_letters"]:
        if dead_letter["status"] == "open":
            return _of_dead_letter(dead_letter)
    receipts = explanation["receipts"]
    relevant = [receipt for receipt in receipts if receipt["id"] == explanation["asked"]] or receipts
    if relevant:
        return [_OF_OUTCOME.get(relevant[0]["outcome"]) or _of_stored(explanation)]
    if explanation["article"] is not None and explanation["article"]["state"] == "stub":
        return ["No document describes it yet: it is known only because other articles name it."]
    return []


def _of_dead_letter(dead_letter: RowDict) -> list[str]:
    number = dead_letter["dead_letter"]
    if dead_letter["code"] in _OF_THE_WORKER:
        return [
            f"{_OF_THE_WORKER[dead_letter['code']]} See it: copydesk dead show {number}.",
            f"When the cause is gone: copydesk dead replay {number} --yes.",
        ]
    return [
        f"It was rejected ({dead_letter['code']}). See where: copydesk dead show {number}. "
        f"Correct it: copydesk dead edit {number}.",
        f"If the cause was here and is gone: copydesk dead replay {number} --yes. "
        "Otherwise its sender has to correct it and send it again; copydesk check shows the same problems offline.",
    ]


def _of_waiting(entry: PendingEntry) -> str:
    if entry["state"] == "set aside":
        return f"A repair of its lane was interrupted. Run it again: copydesk lane repair {entry['lane']} --yes."
    if entry["state"] == "paused":
        source = entry["source"] or entry["lane"]
        return f"Its source is paused. To process its documents: {resume_command(entry['lane'], source)}."
    if entry["state"] == "processing":
        return f"{entry['holder']} is processing it. If that takes longer than a minute, see the log of that worker."
    if entry["attempts"] > 1:
        return "Its process crashed before. It is tried again alone, and becomes a dead letter if it crashes again and again."
    return (
        "It waits for its turn. copydesk status shows how long that takes, whether its lane is paused, "
        "and whether a worker is running."
    )


def _of_stored(explanation: Explanation) -> str:
    if any(document["shown"] for document in explanation["documents"]):
        return "It is in the store and its article shows it. Nothing to do."
    if any(document["retracted"] for document in explanation["documents"]):
        return _OF_OUTCOME["retracted"]
    return "It is in the store, but its article shows a newer document of another source or key."
