"""Sends entries again whose lease has expired, or which were given back."""

from __future__ import annotations

from worker.queue.lease_queue import LeaseQueue
from worker.runtime.dispatch.sender import ClaimCheckSender
from worker.settings import Settings
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_SMALLER_AFTER_A_CRASH = 10
_QUEUED_CAPS = 4  # times the claim checks of full batches at the pending cap; above it the reaper waits


class Reaper:
    """The reaper of all lanes. The dispatcher calls `reap` about once a second."""

    def __init__(self, config: Settings, sender: ClaimCheckSender) -> None:
        self._config = config
        self._sender = sender

    def reap(self, queue: LeaseQueue) -> int:
        """Send the entries of a lane that are due again; return how many."""
        renewed = queue.renew_leases_after_clock_step()
        if renewed:
            log.warning(
                "The clock of Redis was set back", lane=queue.lane, documents=renewed, next="their leases are renewed"
            )
        lease, cap, batch = self._config.lease_seconds, self._config.pending_cap, self._config.batch_documents
        if self._sender.queued() * batch >= _QUEUED_CAPS * cap:
            # The pool takes claim checks too slowly for the lease. More and smaller ones would make it worse.
            return 0
        returned = queue.reap(lease_seconds=lease, limit=cap, whole=True)
        expired = queue.reap(lease_seconds=lease, limit=cap)
        if expired or returned:
            failpoint("reap.taken")
        self._resend(queue.lane, returned, batch)
        # In small batches: a batch that was too slow for its time limit would fail again at its old size, forever.
        self._resend(queue.lane, expired, max(1, batch // _SMALLER_AFTER_A_CRASH))
        if expired or returned:
            failpoint("reap.sent")
        return len(expired) + len(returned)

    def _resend(self, lane: str, entries: list[tuple[str, int]], size: int) -> None:
        """Send entries, (id, attempts so far), in batches of `size`.

        Entries that were being read during a crash are sent alone, so only the faulty one uses up its attempts.
        """
        uncounted = [id_ for id_, attempts in entries if attempts == 0]
        for start in range(0, len(uncounted), size):
            self._sender.send(lane, uncounted[start : start + size])
        for id_, attempts in entries:
            if attempts:
                log.warning("A document is retried alone", id=id_, lane=lane, attempt=attempts + 1)
                self._sender.send(lane, [id_])
