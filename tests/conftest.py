"""Servers and stores as fixtures. A missing server fails the test in CI and skips it elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zlib import crc32

import hypothesis
import pytest
import structlog

from tests.support.commands import COMMANDS
from tests.support.postgres import Postgres
from tests.support.servers import SETTINGS, Valkey, missing
from worker.settings import Settings, settings
from worker.store.migration import upgrade

pytest_plugins = ["tests.support.leftovers"]


def pytest_configure(config):
    # On a busy machine examples are made slowly, which is no fault of the test.
    hypothesis.settings.register_profile("tests", suppress_health_check=[hypothesis.HealthCheck.too_slow],
                                         max_examples=50 if config.option.markexpr == "not long" else 100)  # fmt: skip
    hypothesis.settings.load_profile("tests")
    # With the default of 3 ms a worker that waits uses up to a quarter of a core, and several wait at once.
    SETTINGS["COPYDESK_POLL_SECONDS"] = "0.05"
    # A second pool process takes 0.1 s of CPU at each start. Tests in which two process at once ask for them.
    SETTINGS["COPYDESK_CONCURRENCY"] = "1"
    # A linker takes a second of CPU to start. Tests that look at it, or at what it must not leave behind, switch it on.
    SETTINGS["COPYDESK_LINK"] = "false"
    if (getattr(config.option, "numprocesses", None) or 1) > 1:
        # Compiled modules are kept, as those of the commands are (`environment`): five processes load the same ones.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        COMMANDS.share()
        _compile(Path(__file__).parent)
        servers = contextlib.ExitStack()
        servers.enter_context(Postgres.shared())
        config.add_cleanup(servers.close)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish():
    ended = yield
    COMMANDS.stop()
    return ended


_FIRST = ("e2e/test_readme.py", "integration/linking/test_linker.py", "integration/runtime/test_lane_pauses.py",
          "integration/linking/test_relinking.py", "integration/queue/test_connection.py", "integration/monitoring/test_sources.py",
          "e2e/test_page.py", "integration/store/test_growth.py", "e2e/test_runbook.py", "e2e/test_ingest.py")  # fmt: skip
"""The slowest files begin first: if it began last, one file would run alone at the end. Files that compute are between
those that wait, so that no core is idle.
"""
_WAITING = ("faults/", "e2e/", "integration/test_", "integration/runtime/", "integration/queue/")
"""Files whose tests wait for servers most of the time. They alternate with the others, which compute."""


def pytest_collectstart():
    gc.disable()  # what is made now stays


def pytest_collection_finish():
    # What was collected stays until the end of the run; each full collection of garbage would look at it again.
    gc.collect()
    gc.freeze()
    gc.enable()
    # With Python's default of 700 new objects the collections of the tests take a twentieth of their CPU.
    gc.set_threshold(20_000, 10, 10)


def pytest_collection_modifyitems(items):
    paths = list(dict.fromkeys(item.path for item in items))
    names = {path: path.relative_to(Path(__file__).parent).as_posix() for path in paths}
    ranks = {path: _FIRST.index(name) - len(_FIRST) for path, name in names.items() if name in _FIRST}
    # By a number without a meaning, so that files of one folder, which take equally long, are not neighbours.
    others = sorted((path for path in paths if path not in ranks), key=lambda path: crc32(names[path].encode()))
    waiting = [path for path in others if names[path].startswith(_WAITING)]
    computing = [path for path in others if not names[path].startswith(_WAITING)]
    for group in (waiting, computing):
        ranks.update({path: number / len(group) for number, path in enumerate(group)})
    items.sort(key=lambda item: ranks[item.path])


def _compile(tests: Path) -> None:
    """In a fresh clone, compile the tests once: each worker of pytest-xdist would compile all of them at the same time."""
    if next((tests / "unit").rglob("*.pyc"), None) is None:
        # One process: the other core loads the modules of the commands meanwhile (`COMMANDS.share`).
        collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", tests]
        subprocess.run(collect, cwd=tests.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    """Remove the settings of the user's environment, so that no test depends on them."""
    for name in list(os.environ):
        if name.startswith("COPYDESK_") and not name.startswith("COPYDESK_TEST_"):
            monkeypatch.delenv(name)
    settings.cache_clear()  # a test before this one in the same process read other settings


_PROCESSORS = [
    *structlog.get_config()["processors"][:-1],
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
]
"""Those of structlog, but the default renderer takes two seconds of CPU for one traceback."""


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch):
    """Reset logging for each test: a logger that was used under one configuration would keep it for the whole process."""
    configure = structlog.configure
    configure(processors=_PROCESSORS, cache_logger_on_first_use=False)
    monkeypatch.setattr(
        structlog, "configure", lambda **options: configure(**{**options, "cache_logger_on_first_use": False})
    )
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    # A handler of the test writes to a stream that is closed now; a later test would show an error of logging.
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture(scope="module")
def valkey():
    """A real Valkey. The tests of a module share it and use lanes of their own; it is not emptied between them."""
    server = Valkey()
    try:
        server.start()
    except (OSError, AssertionError) as error:
        missing("Valkey", error)
    yield server
    server.stop()


@pytest.fixture
def redis_client(valkey):
    """A client of `valkey`, emptied first."""
    with valkey.client() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL, one for the whole run."""
    try:
        server = Postgres()
    except Exception as error:
        missing("PostgreSQL", error)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres):
    """An empty PostgreSQL database, for tests of migrations and of plans."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def migrated_postgres_url(postgres):
    """A fresh store in PostgreSQL. It has the current schema already, so `upgrade` has nothing to do."""
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """`migrated_sqlite(path)` makes a fresh SQLite store there and returns its URL. It has the current schema already, so
    `upgrade` has nothing to do: the migrations take 0.2 s of CPU, and a second on a busy disk.
    """
    template = tmp_path_factory.mktemp("migrated") / "store.db"
    upgrade(Settings(database_url=f"sqlite:///{template}", data_dir=template.parent))

    def copy(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return copy


@pytest.fixture
def migrated_folder(migrated_sqlite, tmp_path):
    """The folder of a fresh SQLite store, for the setting COPYDESK_DATA_DIR: `tmp_path`."""
    migrated_sqlite(tmp_path / "copydesk.db")
    return tmp_path


@pytest.fixture
def migrated_home(migrated_sqlite, tmp_path):
    """A folder in which `copydesk` without settings finds a fresh store: `tmp_path`."""
    migrated_sqlite(tmp_path / ".copydesk" / "copydesk.db")
    return tmp_path


def _store_url(request, folder: Path, *, migrated: bool):
    if request.param == "sqlite":
        path = folder / "store.db"
        yield request.getfixturevalue("migrated_sqlite")(path) if migrated else f"sqlite:///{path}"
    else:
        postgres = request.getfixturevalue("postgres")
        with postgres.migrated_database() if migrated else postgres.database() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """An empty database of each kind, for tests of migrations."""
    yield from _store_url(request, tmp_path, migrated=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_store_url(request, tmp_path):
    """A fresh store of each kind. It has the current schema already, so `upgrade` has nothing to do."""
    yield from _store_url(request, tmp_path, migrated=True)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_store_url(request, tmp_path_factory):
    """Like `migrated_store_url`, one store for all tests of a module."""
    yield from _store_url(request, tmp_path_factory.mktemp("store"), migrated=True)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    """A folder with packages from npm: COPYDESK_TEST_NODE, else a new one for the run. Needs Node.js 20 and npm."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(os.environ.get("COPYDESK_TEST_NODE") or shared / "node")
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js or npm is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"Node.js {version.strip()} is older than 20")
    _install(folder, "redis", "ioredis", "ajv", "ajv-formats")
    return folder


@pytest.fixture(scope="session")
def asyncapi_folder(node_folder):
    """`node_folder` with AsyncAPI's parser, which depends on hundreds of packages."""
    _install(node_folder, "@asyncapi/parser")
    return node_folder


def _install(folder: Path, *packages: str) -> None:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of pytest-xdist share the folder
        wanted = [name for name in packages if not (folder / "node_modules" / name).exists()]
        if wanted:
            command = ["npm", "install", "--no-audit", "--no-fund", *wanted]
            try:
                subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=True)
            except subprocess.SubprocessError as error:
                pytest.skip(f"npm cannot install {', '.join(wanted)}: {str(getattr(error, 'stderr', error))[-300:]}")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """`corpus(name)` unpacks a collection of real documents, `name.tar.gz` in the folder COPYDESK_TEST_CORPUS."""
    folder = os.environ.get("COPYDESK_TEST_CORPUS")
    if not folder:
        pytest.skip("COPYDESK_TEST_CORPUS is not set: no real documents at hand")
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in unpacked:
            archive = Path(folder) / f"{name}.tar.gz"
            if not archive.exists():
                pytest.skip(f"{archive} is not there")
            unpacked[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked[name], filter="data")
        return unpacked[name]

    return unpack
