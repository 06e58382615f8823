"""Where an append-only file is complete, and which part is cut off if it is not."""

from __future__ import annotations

import pytest

from worker.runtime.embedded.append_only import repair, whole_commands


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


FIRST = command(b"SELECT", b"0") + command(b"XADD", b"documents", b"1-0", b"raw", b"a\r\n*1\r\n$4\r\nEXEC\r\nz")
SECOND = command(b"SET", b"k", b"")


@pytest.mark.parametrize("cut", range(1, len(SECOND)))
def test_an_incomplete_command_is_cut_wherever_it_ends(tmp_path, cut):
    (tmp_path / "f").write_bytes(FIRST + SECOND[:cut])
    assert whole_commands(tmp_path / "f") == len(FIRST)


@pytest.mark.parametrize("damage", [
    b"\x00" * 4096, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999999999999\r\nx", b"*-1\r\n", b"*0\r\n", b"$1\r\na\r\n", b"*x\r\n",
    command(b"MULTI") + SECOND, command(b"MULTI") + SECOND + command(b"EXEC")[:-3], command(b"multi"), b"#TS:17", b"\r\n",
], ids=repr)  # fmt: skip
def test_damage_of_any_kind_is_cut(tmp_path, damage):
    (tmp_path / "f").write_bytes(FIRST + damage)
    assert whole_commands(tmp_path / "f") == len(FIRST)


@pytest.mark.parametrize("whole", [
    b"", FIRST, FIRST + SECOND, FIRST + command(b"MULTI") + SECOND + command(b"EXEC"), b"#TS:1700000000\r\n" + FIRST,
], ids=repr)  # fmt: skip
def test_a_complete_file_stays(tmp_path, whole):
    (tmp_path / "f").write_bytes(whole)
    assert whole_commands(tmp_path / "f") == len(whole)


def test_a_file_is_cut_at_the_first_unknown_command(tmp_path):
    (tmp_path / "appendonlydir").mkdir()
    file = tmp_path / "appendonlydir" / "appendonly.aof.2.incr.aof"
    damaged = FIRST + command(b"XBDD", b"documents") + SECOND
    file.write_bytes(damaged)
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i startoffset 12\n"
    )
    assert repair(tmp_path, "Bad file format") == []
    message = "# Error reading the append only file appendonly.aof.2.incr.aof, error: unknown command 'XBDD', with args"
    (cut,) = repair(tmp_path, message)
    assert (cut.bytes, cut.file, cut.copy.read_bytes()) == (len(damaged) - len(FIRST), file, damaged)
    assert file.read_bytes() == FIRST
    assert repair(tmp_path, message) == []
