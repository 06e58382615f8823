"""The manifest of the producer is read while it is written."""

from __future__ import annotations

from tests.faults.manifest import Manifest, Reader, Sent


def test_an_incomplete_line_is_read_when_it_is_complete(tmp_path):
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.doubt(0, 1)
    manifest.close()
    line = path.read_bytes()
    reader = Reader(path)
    path.write_bytes(line + line[:10])
    reader.read()
    path.write_bytes(line + line)
    reader.read()
    assert reader._offset == 2 * len(line)


def test_an_entry_recorded_after_the_doubt_about_its_period_is_doubtful_too(tmp_path):
    manifest, reader = Manifest(tmp_path / "manifest.jsonl"), Reader(tmp_path / "manifest.jsonl")
    sent = [
        Sent(number, at, "documents", "s", None, "put", "u", sure=True) for number, at in enumerate((1.5, 1.6, 2.5))
    ]
    manifest.add(sent[0])
    manifest.doubt(1, 2)
    manifest.add(sent[1])
    manifest.add(sent[2])
    assert [reader.read()[one.trace].sure for one in sent] == [False, False, True]
    manifest.close()
