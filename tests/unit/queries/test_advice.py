"""The advice of `copydesk explain` fits the outcome."""

import pytest

from worker.queries.advice import advice


def of_dead_letter(code):
    dead_letter = {"status": "open", "dead_letter": 7, "code": code}
    return " ".join(advice({"dead_letters": [dead_letter], "receipts": [], "documents": [], "article": None}, []))


@pytest.mark.parametrize("code", ["poison", "internal_error"])
def test_nobody_is_told_to_correct_a_document_on_which_the_worker_failed(code):
    assert "dead edit" not in of_dead_letter(code)
    assert "copydesk dead replay 7" in of_dead_letter(code)


def test_an_invalid_document_is_corrected():
    assert "copydesk dead edit 7" in of_dead_letter("bad_primary_url")
