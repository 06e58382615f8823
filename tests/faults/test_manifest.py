"""The producer's account is read while it is written."""

from __future__ import annotations

from tests.faults.manifest import Manifest, Reader


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path):
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
