"""The work that the store has left is said in few sentences, one for each kind."""

from __future__ import annotations

from worker.monitoring.pending_work import pending_work_sentences
from worker.monitoring.status import WorkStatus


def test_names_and_retractions_are_counted_and_not_listed():
    works = [WorkStatus("names", number, 0, 0) for number in range(30)] + [WorkStatus("retract", 7, 0, 0)]
    assert list(pending_work_sentences(works)) == [
        "enriching: the names of 30 providers are not counted yet",
        "retracting: more documents that show the URLs of 1 retracted document",
    ]


def test_a_changed_reference_document_says_how_far_its_articles_are():
    works = [WorkStatus("provider", 5, 1600, 2178), WorkStatus("topics", None, 0, 4), WorkStatus("peers", None, 0, 12)]
    assert list(pending_work_sentences(works)) == [
        "enriching: the articles of provider 5, 1,600 of 2,178 done, because a reference document changed",
        "enriching: all articles, 0 of 4 done, because a reference document changed",
        "pending: the heat of the articles that list 12 changed articles",
    ]
