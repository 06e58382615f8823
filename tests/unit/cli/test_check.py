"""What `copydesk check` says of documents."""

from __future__ import annotations

from worker.cli.check import check


def test_a_document_without_a_url_is_accepted_only_with_a_key(tmp_path, capsys):
    with_url, without = tmp_path / "a.md", tmp_path / "b.md"
    with_url.write_text("---\ntitle: T\nwebUrl: https://a.example/x\n---\n", "utf-8")
    without.write_text("---\ntitle: T\n---\n", "utf-8")
    assert check([with_url, without]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "accepted",
        "accepted (if it is sent with a key: it has no URL)",
    ]
