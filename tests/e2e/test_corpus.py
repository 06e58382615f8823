"""Collections of real documents: only broken files or files without a header are rejected, warnings name only real
defects,
and SQLite and PostgreSQL hold the same rows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stored import stored
from tests.support.servers import copydesk, results

REJECTED = {"diablo4": (4, 3), "ai": (1, 5), "microsoft-power-apps": (0, 3)}
"""Files with broken YAML, and files without a header."""
WARNINGS = {"related_without_url", "text_cleaned", "url_with_space"}
"""Warnings that real documents cause: each names a part that was dropped or corrected."""


@pytest.mark.parametrize("name", [
    "microsoft-power-apps",
    pytest.param("diablo4", marks=pytest.mark.long),
    pytest.param("ai", marks=pytest.mark.long),
])  # fmt: skip
def test_a_collection_has_the_same_result_in_both_databases(name, corpus, tmp_path, migrated_postgres_url):
    folder = corpus(name)
    files = sorted(str(file) for file in folder.rglob("*.md"))
    runs = {}
    for store, settings in (("sqlite", {}), ("postgresql", {"COPYDESK_DATABASE_URL": migrated_postgres_url})):
        cwd = tmp_path / store
        cwd.mkdir()
        run = copydesk("ingest", "--json", folder, cwd=cwd, COPYDESK_LINK="false", **settings)
        assert run.returncode == 1, run.stderr
        documents, summary = results(run.stdout)
        assert sorted(document["path"] for document in documents) == files
        assert sum(count for outcome, count in summary.items() if outcome != "submitted") == len(files)
        rejected = {
            document["path"]: [problem["code"] for problem in document["problems"] if problem["severity"] == "error"]
            for document in documents
            if document["outcome"] == "rejected"
        }
        runs[store] = rejected, {document["path"]: document["url"] for document in documents}
        for path, codes in rejected.items():
            text = Path(path).read_text("utf-8", "replace")
            expected = (
                {"no_front_matter", "empty_front_matter", "empty_document"} if not text.startswith("---")
                else {code for code in codes if code.startswith("yaml_")}
            )  # fmt: skip
            assert codes
            assert set(codes) <= expected, path
        broken = sum(codes[0].startswith("yaml_") for codes in rejected.values())
        assert (broken, len(rejected) - broken) == REJECTED[name]
        warned = {problem["code"] for document in documents for problem in document["problems"]
                  if problem["severity"] == "warning"}  # fmt: skip
        assert warned <= WARNINGS
    assert runs["sqlite"] == runs["postgresql"]
    assert stored(f"sqlite:///{tmp_path}/sqlite/.copydesk/copydesk.db") == stored(migrated_postgres_url)
