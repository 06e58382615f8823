"""Advice: what an operator can do next about a document, by its outcome. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_OUTCOME = {
    "unchanged": "It is equal to what was stored, but for `secured`: nothing to do.",
    "superseded": "A newer version of this document is in the store; what this one says is not shown. Nothing to do.",
    "retracted": "It was withdrawn. To bring it back, send it again.",
}


def advice(found: Mapping[str, Any]) -> list[str]:
    """Return sentences for the command `explain`.

    `found`: the result of `explanation.explain`, with that of `pending.pending` as `pending`. The receipt that was
    asked for counts, else the newest.
    """
    waiting = found.get("pending") or []
    if waiting:
        return [_of_waiting(waiting[0])]
    receipts, dead_letters = found["receipts"], found["dead_letters"]
    opened = [dead_letter for dead_letter in dead_letters if dead_letter["status"] == "open"]
    out = []
    wanted_next = [receipt for receipt in receipts if receipt["id"] == found["asked"]] or receipts
    outcome = wanted_next[0]["outcome"] if wanted_next else None
    if opened:
        number = opened[0]["dead_letter"]
        out.append(
            f"It was rejected ({opened[0]['code']}). See where: copydesk dead show {number}. Mend it: copydesk dead edit {number}."
        )
        out.append(
            f"If the cause was on our side and is gone: copydesk dead replay {number} --yes. "
            "Else its sender has to send it mended; copydesk check tells them the same offline."
        )
    elif outcome == "rejected":
        out.append("It was rejected then, and has been mended, replayed or discarded since.")
    elif outcome in _OF_OUTCOME:
        out.append(_OF_OUTCOME[outcome])
    elif outcome is not None:
        out.append(_of_stored(found))
    elif found["article"] is not None and found["article"]["state"] == "stub":
        out.append("No document of it has come: it is known only because others name it.")
    return out


def _of_waiting(waiting: Mapping[str, Any]) -> str:
    if waiting["state"] == "set aside":
        return f"A repair of its lane was interrupted. Run it again: copydesk lane repair {waiting['lane']} --yes."
    if waiting["state"] == "at work":
        return f"It is being worked on by {waiting['holder']}. If that lasts longer than a minute, look at the log of that worker."
    if waiting["attempts"] > 1:
        return "It was tried before and its process died; it is tried again alone, and becomes a dead letter if that goes on."
    return "It waits for its turn: copydesk status says how long that takes, whether its lane is paused and whether a worker is alive."


def _of_stored(found: Mapping[str, Any]) -> str:
    if any(document["shown"] for document in found["documents"]):
        return "It is in the store and its article shows it. Nothing to do."
    if any(document["retracted"] for document in found["documents"]):
        return _OF_OUTCOME["retracted"]
    return "It is in the store, but its article shows a newer document of another source or key."
