"""A window yields submitted documents in order, lets a bounded number wait, and submits all of them whatever happens."""

from __future__ import annotations

import pytest

from worker.producer import submission_window
from worker.producer.submission import Submission
from worker.producer.submission_window import DocumentOutcome, SubmissionWindow

STORED = DocumentOutcome("stored", None, [])


@pytest.fixture(autouse=True)
def _small_window(monkeypatch):
    monkeypatch.setattr(submission_window, "WAITING_DOCUMENTS", 10)
    monkeypatch.setattr(submission_window, "WAITING_BYTES", 1000)
    monkeypatch.setattr(submission_window, "_UNYIELDED_DOCUMENTS", 30)
    monkeypatch.setattr(submission_window, "_POLL_SECONDS", 0)


class Lane:
    """A lane of which `settle` decides which of the waiting ids get an outcome at the next poll."""

    def __init__(self, settle):
        self._settle = settle
        self.sizes = {}
        self.most_waiting = 0
        self.most_bytes = 0
        self.most_ahead = 0
        self.yielded = 0

    def submitted(self, count, size=1):
        for number in range(count):
            self.sizes[str(number)] = size
            self.most_ahead = max(self.most_ahead, len(self.sizes) - self.yielded)
            yield Submission(b"x" * size, label=f"path {number}"), str(number)

    def poll(self, ids):
        self.most_waiting = max(self.most_waiting, len(ids))
        self.most_bytes = max(self.most_bytes, sum(self.sizes[id_] for id_ in ids))
        return dict.fromkeys(self._settle(list(ids)), STORED)

    def run(self, submitted, keep_waiting=lambda _: True):
        window = SubmissionWindow(self.poll, keep_waiting)
        documents = []
        for document in window.run(submitted):
            self.yielded += 1
            documents.append(document)
        return window, documents


@pytest.mark.parametrize("settle", [
    lambda ids: ids, lambda ids: ids[:1], lambda ids: ids[-1:], lambda ids: ids[1::2] or ids, lambda ids: ids[5:] or ids,
], ids=["all", "the first", "the last", "every second", "all but five"])  # fmt: skip
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 100])
def test_documents_are_yielded_in_order_whatever_the_order_of_their_outcomes(settle, count):
    lane = Lane(settle)
    window, documents = lane.run(lane.submitted(count))
    assert documents == [(str(number), f"path {number}", STORED) for number in range(count)]
    assert (window.submitted, window.gave_up) == (count, False)
    assert lane.most_waiting <= 10


def test_the_bytes_that_wait_are_bounded():
    lane = Lane(lambda ids: ids[:1])
    lane.run(lane.submitted(50, size=300))
    assert lane.most_bytes <= 1000 + 300


def test_one_document_without_an_outcome_does_not_stop_the_others():
    lane = Lane(lambda ids: [id_ for id_ in ids if id_ != "0"][:3] or ids)
    _, documents = lane.run(lane.submitted(25))
    assert lane.most_ahead >= 25
    assert len(documents) == 25


def test_outcomes_in_memory_are_bounded_while_one_document_has_none():
    polls = iter(range(1000))
    lane = Lane(lambda ids: [id_ for id_ in ids if id_ != "0" or next(polls) > 100])
    _, documents = lane.run(lane.submitted(200))
    assert lane.most_ahead <= 31
    assert len(documents) == 200


@pytest.mark.parametrize("count", [3, 10, 100])
def test_after_giving_up_the_rest_is_submitted_and_has_no_outcome(count):
    lane = Lane(lambda _: [])
    window, documents = lane.run(lane.submitted(count), keep_waiting=lambda _: False)
    assert [document.id for document in documents] == [str(number) for number in range(count)]
    assert {document.outcome for document in documents} == {None}
    assert window.gave_up
    assert window.submitted == count


def test_the_time_without_an_outcome_begins_again_with_each_outcome():
    waited = []

    def keep_waiting(seconds):
        waited.append(seconds)
        return True

    polls = iter(range(1000))
    lane = Lane(lambda ids: ids[:1] if next(polls) % 5 == 4 else [])
    lane.run(lane.submitted(3), keep_waiting)
    assert len(waited) == 12
    assert sorted(waited) != waited
