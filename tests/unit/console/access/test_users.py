"""The file of the console's users: tokens are kept as digests, changes are whole, and a damaged file opens nothing."""

from __future__ import annotations

import asyncio
import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.console.access.sessions import Sessions
from worker.console.access.users import Role, UserFile, UsersError
from worker.console.server import UnsafeConsole, names_for


@pytest.fixture
def users(tmp_path):
    return UserFile(tmp_path / "folder" / "users.json")


def log_in(sessions, token):
    return asyncio.run(sessions.login(token))


def test_a_token_is_shown_once_and_kept_as_a_digest_that_its_owner_alone_can_read(users):
    token = users.add("ann", Role.OPERATOR)
    assert len(token) == 32
    assert token not in users.path.read_text("utf-8")
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    assert users.with_token(token).name == "ann"
    assert users.with_token(token + "x") is None
    assert users.with_token("") is None


def test_users_that_are_added_at_the_same_time_are_all_kept(users):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: UserFile(users.path).add(f"user{number}", Role.VIEWER), range(24)))
    assert len(users.read()) == 24


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a\nb", "<i>", "a/b"])
def test_a_name_has_no_characters_that_must_be_escaped(users, name):
    with pytest.raises(UsersError, match="1 to 64 letters"):
        users.add(name, Role.VIEWER)
    assert not users.path.exists()


def test_without_users_and_token_everybody_on_this_machine_is_in_until_the_first_user_is_added(users):
    sessions = Sessions(None, users)
    session = sessions.new()
    assert (session.is_open, session.may_act, session.user) == (True, True, "")
    users.add("ann", Role.VIEWER)
    assert not sessions.of(session.id).is_open
    users.remove("ann")
    assert not sessions.of(session.id).is_open, (
        "a console that had users is never opened to all by removing the last one"
    )


def test_the_token_names_the_user_and_the_role(users):
    ann, bob = users.add("ann", Role.OPERATOR), users.add("bob", Role.VIEWER)
    sessions = Sessions("a token of sixteen", users)
    assert log_in(sessions, "wrong") is None
    for token, name, may_act in ((ann, "ann", True), (bob, "bob", False), ("a token of sixteen", "", True)):
        session = log_in(sessions, token)
        assert (session.is_open, session.user, session.may_act) == (True, name, may_act)
        assert sessions.of(session.id) == session


def test_a_removed_user_a_new_token_and_a_new_role_count_at_once(users):
    ann, bob = users.add("ann", Role.OPERATOR), users.add("bob", Role.OPERATOR)
    sessions = Sessions(None, users)
    first, second = log_in(sessions, ann), log_in(sessions, bob)
    users.remove("ann")
    assert not sessions.of(first.id).is_open
    assert log_in(sessions, ann) is None
    text = users.path.read_text("utf-8").replace('"operator"', '"viewer"')
    users.path.write_text(text, "utf-8")
    assert (sessions.of(second.id).is_open, sessions.of(second.id).may_act) == (True, False)
    users.add("bob", Role.OPERATOR)
    assert not sessions.of(second.id).is_open


DAMAGED = ["", "{}", "[]", '{"users": {}}x', '{"users": [{"name": "ann"}]}', "\udcff", "[" * 100_000,
           json.dumps({"users": [{"name": "ann", "role": "root", "token_sha256": "0" * 64, "created_at": ""}]}),
           json.dumps({"users": [{"name": "ann", "role": "operator", "token_sha256": "", "created_at": ""}]})]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_opens_nothing_and_is_not_overwritten(users, text):
    token = users.add("ann", Role.OPERATOR)
    sessions = Sessions(None, users)
    session = log_in(sessions, token)
    users.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert not sessions.of(session.id).is_open
    assert log_in(sessions, token) is None
    assert not Sessions(None, UserFile(users.path)).new().is_open
    with pytest.raises(UsersError, match="not a list of users"):
        users.add("bob", Role.VIEWER)
    assert users.path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_beyond_this_machine_the_console_needs_a_token_or_users():
    with pytest.raises(UnsafeConsole, match="copydesk user add"):
        names_for("0.0.0.0", (), None)
    assert names_for("0.0.0.0", (), None, has_users=True) is None
