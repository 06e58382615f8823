"""The path of the embedded Valkey's unix socket. Every process of a user must find the same one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from worker.errors import CopydeskError

_MAX_PATH_BYTES = 100  # the path of a unix socket cannot be much longer
_TEMPORARY = Path("/tmp")  # noqa: S108  `_require_own_folder` creates and checks the folder in it


class UnsafeFolder(CopydeskError):
    """Raised when the folder for the embedded Valkey's socket belongs to another user, or others have access to it."""


def embedded_redis_url(data_dir: Path) -> str:
    """Return the URL of the embedded Valkey. Raises UnsafeFolder like `embedded_socket`."""
    return f"unix://{embedded_socket(data_dir)}"


def embedded_socket(data_dir: Path) -> Path:
    """Return the path of the embedded Valkey's unix socket. Raises UnsafeFolder.

    The socket is in `data_dir`. If that path has more than 100 bytes, it is in a folder of /tmp that only this user can
    access. Every process of this user must get the same path, also through a symbolic link or with another TMPDIR.
    """
    path = data_dir.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = _TEMPORARY / f"copydesk-{os.geteuid()}"
    _require_own_folder(folder)
    return folder / f"{digest}.sock"


def _require_own_folder(folder: Path) -> None:
    """Create the folder if it is missing. Raises UnsafeFolder if another user owns it or can access it.

    Processes that only read create it too. Otherwise another user could create it between the check and the use.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UnsafeFolder(
            f"{folder} must be a folder of this user alone (mode 700), because the embedded Valkey's socket is in it: "
            "remove it, or set COPYDESK_DATA_DIR to a shorter path."
        )
