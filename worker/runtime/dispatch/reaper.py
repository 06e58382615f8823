"""Sends entries again whose lease has expired, or which were given back."""

from __future__ import annotations

from worker.queue.lease_queue import LeaseQueue
from worker.queue.store_timeouts import StoreTimeouts
from worker.runtime.dispatch.sender import ClaimCheckSender
from worker.settings import Settings
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_SMALLER_AFTER_A_FAILURE = 10
_QUEUED_CAPS = 4  # times the claim checks of full batches at the pending cap; above it the reaper waits


def small_batch(config: Settings) -> int:
    """Return how many entries whose lease expired are sent again in one batch.

    A batch that was too slow for a time limit would fail again at its old size, forever.
    """
    return max(1, config.batch_documents // _SMALLER_AFTER_A_FAILURE)


class Reaper:
    """The reaper of all lanes. The dispatcher calls `reap` about once a second."""

    def __init__(self, config: Settings, sender: ClaimCheckSender) -> None:
        self._config = config
        self._sender = sender

    def reap(self, queue: LeaseQueue, *, is_paused: bool = False) -> int:
        """Send the entries of a lane that are due again; return how many. On a paused lane they wait instead."""
        renewed = queue.renew_leases_after_clock_step()
        if renewed:
            log.warning(
                "The clock of Redis was set back", lane=queue.lane, documents=renewed, next="their leases are renewed"
            )
        lease, cap, batch = self._config.lease_seconds, self._config.pending_cap, self._config.batch_documents
        if is_paused:
            queue.reap(lease_seconds=lease, limit=cap, paused=True)
            return 0
        if self._sender.queued() * batch >= _QUEUED_CAPS * cap:
            # The pool takes claim checks too slowly for the lease. More and smaller ones would make it worse.
            return 0
        returned = queue.reap(lease_seconds=lease, limit=cap, whole=True)
        expired = queue.reap(lease_seconds=lease, limit=cap)
        if expired or returned:
            failpoint("reap.taken")
        self._resend(queue, returned, batch)
        self._resend(queue, expired, small_batch(self._config))
        if expired or returned:
            failpoint("reap.sent")
        return len(expired) + len(returned)

    def _resend(self, queue: LeaseQueue, entries: list[tuple[str, int]], size: int) -> None:
        """Send entries, (id, attempts so far), in batches of `size`.

        Entries that were being read during a crash are sent alone, so only the faulty one uses up its attempts. So are
        those of a small batch on which the store timed out: only the faulty one fails again.
        """
        timed_out = StoreTimeouts(queue).recorded([id_ for id_, _ in entries])
        alone = [(id_, attempts) for id_, attempts in entries if attempts or id_ in timed_out]
        together = [id_ for id_, attempts in entries if not attempts and id_ not in timed_out]
        for start in range(0, len(together), size):
            self._sender.send(queue.lane, together[start : start + size])
        for id_, attempts in alone:
            log.warning("A document is retried alone", id=id_, lane=queue.lane, attempt=attempts + 1)
            self._sender.send(queue.lane, [id_])
