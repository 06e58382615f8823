"""What a decision needs that was not prepared before the writer lock."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.reference_documents import ReferenceCopy


class Unprepared(Exception):
    """Raised when a batch cannot be decided with what was prepared for it: roll back, prepare it again, decide again.

    `contents`: documents whose providers or topics have no row yet; create those. `unread`: ids of recognised items whose
    stored documents changed meanwhile, or are changed by the same batch; read them. `is_stale`: a reference document
    changed, or providers or topics were deleted, after the rows that many articles share were read; read these again.
    """

    def __init__(
        self,
        *,
        contents: Sequence[EnrichedDocument | ReferenceCopy] = (),
        unread: Collection[str] = (),
        is_stale: bool = False,
    ) -> None:
        super().__init__("a batch was not prepared for what is stored now")
        self.contents, self.unread, self.is_stale = contents, unread, is_stale
