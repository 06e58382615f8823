"""The console's users: named persons with a role, in a file that holds the digests of their tokens.

A token is 192 random bits that Copydesk chooses and shows once, so a plain SHA-256 is enough: nobody can guess what it
hashes. The file is read again when it has changed, so a removed user or a changed role counts from the next request on.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from worker.errors import CopydeskError, Exit
from worker.settings import Settings

_NAME = re.compile(r"[\w.@+-]{1,64}")


class Role(StrEnum):
    """What a user may do: look at everything, or also act."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class UsersError(CopydeskError):
    """Raised when the file of users cannot be used, or a user cannot be added; the message says why."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class User:
    """A user. `token_sha256` is hexadecimal, `created_at` a time in ISO 8601, UTC."""

    name: str
    role: Role
    token_sha256: str
    created_at: str


class UserFile:
    """Reads and changes the file. Thread-safe: each change replaces the file as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._users: Mapping[str, User] = {}

    def read(self) -> Mapping[str, User]:
        """Return name → user; empty if there is no file. Raises UsersError."""
        try:
            with self.path.open("rb") as file:
                state = os.fstat(file.fileno())
                seen = (state.st_mtime_ns, state.st_size, state.st_ino)
                if seen != self._seen:
                    users = _parsed(file.read())
                    self._users, self._seen = users, seen
                return self._users
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsersError(f"{self.path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UsersError(f"{self.path} is not a list of users; copydesk user add writes one") from None

    def with_token(self, token: str) -> User | None:
        """Return the user with this token; None if there is none. Raises UsersError."""
        digest, found = _digest(token), None
        for user in self.read().values():
            if hmac.compare_digest(user.token_sha256, digest):
                found = user
        return found

    def add(self, name: str, role: Role) -> str:
        """Add a user, or give a known one a new token and role; return the token. Raises UsersError."""
        if not _NAME.fullmatch(name):
            raise UsersError("a name has 1 to 64 letters, digits and the characters . _ @ + -")
        token = secrets.token_urlsafe(24)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing() as users:
            users[name] = User(name, role, _digest(token), now)
        return token

    def remove(self, name: str) -> bool:
        """Remove a user; return False if there is none of this name. Raises UsersError."""
        with self._changing() as users:
            return users.pop(name, None) is not None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """Yield the users, and write them when the block ends. One process at a time."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.with_name(f"{self.path.name}.lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                users = dict(self.read())
                yield users
                self._write(users)
        except OSError as error:
            raise UsersError(f"{self.path} cannot be written: {error.strerror}") from error

    def _write(self, users: Mapping[str, User]) -> None:
        text = json.dumps({"users": [asdict(user) for user in users.values()]}, indent=1) + "\n"
        # A temporary file is readable by its owner only.
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def user_file(config: Settings) -> UserFile:
    """Return the file of users that the settings name."""
    return UserFile(config.console_users or config.data_dir / "console-users.json")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(text: bytes) -> dict[str, User]:
    users = [
        User(str(one["name"]), Role(one["role"]), str(one["token_sha256"]), str(one["created_at"]))
        for one in json.loads(text)["users"]
    ]
    if any(not re.fullmatch("[0-9a-f]{64}", user.token_sha256) or not _NAME.fullmatch(user.name) for user in users):
        raise ValueError("a user without a name or a digest")
    return {user.name: user for user in users}
