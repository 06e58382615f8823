"""The rows of documents that a batch writes. Pure: no I/O."""

from __future__ import annotations

from datetime import datetime

from worker.store.decide.change_set import ChangeSet
from worker.store.decide.documents import DocumentChanges
from worker.store.decide.stored import DocumentRow, Values

_IDENTITY = ("doc_hash", "source", "key")
_NAMES = ("id", *DocumentRow._fields[4:-2], "changed_at")


def write_documents(changes: DocumentChanges, writes: ChangeSet, now: datetime) -> None:
    """Write the documents that changed. The form is written with new content, and removed by a retraction."""
    new, rewritten, revised = list[Values](), list[Values](), list[Values]()
    for doc_hash in sorted(changes.documents):
        one = changes.documents[doc_hash]
        row, stored, content = one.row, one.stored, one.content
        values = (row.id, *row[4:-2], now)
        form = content.form if content is not None else None
        if stored is None:
            new.append((*values, form, *row[1:4]))
        elif content is not None or (row.retracted and row != stored):
            rewritten.append((*values, form))
        elif row != stored:
            revised.append(values)
    writes.insert("documents", (*_NAMES, "form", *_IDENTITY), new)
    writes.update("documents", (*_NAMES, "form"), rewritten)
    writes.update("documents", _NAMES, revised)
