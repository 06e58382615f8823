"""Settings come from the environment, are checked at once, and never show a secret."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.settings import (
    Lane,
    Settings,
    UnsafeFolder,
    embedded_socket,
    normal_database_url,
    parse_lanes,
    parse_levels,
)


def test_lanes_have_a_name_a_weight_and_perhaps_a_source():
    lanes = parse_lanes("documents=4, documents:urgent=8@agency,bulk")
    assert lanes == (Lane("documents", 4), Lane("documents:urgent", 8, "agency"), Lane("bulk", 1))


@pytest.mark.parametrize("text", [
    "", ",", "a b=1", "copydesk:internal=1", "replies:x=1", "documents=0", "documents=101", "documents=-1", "documents=x",
    "-x=1", "x" * 65, "documents\n=1",
])  # fmt: skip
def test_unusable_lanes_are_refused_with_a_sentence(text):
    with pytest.raises(ValidationError, match=r"lane"):
        Settings(lanes=text)


def test_the_environment_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("COPYDESK_REDIS_URL", "redis://localhost:1/2")
    monkeypatch.setenv("COPYDESK_DATABASE_URL", "postgres://me:secret@db/copydesk")
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COPYDESK_LANES", "a=2,b")
    monkeypatch.setenv("COPYDESK_CONCURRENCY", "7")
    found = Settings()
    assert found.redis == "redis://localhost:1/2"
    assert found.database == "postgresql+psycopg://me:secret@db/copydesk"
    assert [lane.name for lane in found.lane_list] == ["a", "b"]
    assert found.concurrency == 7


def test_nothing_configured_means_embedded_servers_in_the_data_folder(tmp_path):
    found = Settings(data_dir=tmp_path)
    assert found.redis == f"unix://{embedded_socket(tmp_path)}"
    assert found.database == f"sqlite:///{tmp_path}/copydesk.db"


def test_a_data_folder_too_deep_for_a_socket_gets_one_elsewhere_that_is_always_the_same(tmp_path):
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    assert len(str(embedded_socket(deep))) <= 100
    assert embedded_socket(deep) == embedded_socket(deep)
    assert embedded_socket(deep) != embedded_socket(deep / "other")


def test_credentials_do_not_show():
    config = Settings(redis_url="redis://:hunter2@h", database_url="postgresql://u:hunter2@h/d")
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)


@pytest.mark.parametrize("url", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg://h/d"])
def test_every_spelling_of_postgresql_means_psycopg_3(url):
    assert normal_database_url(url) == "postgresql+psycopg://h/d"


def test_a_sqlite_url_stays_as_it_is():
    assert normal_database_url("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


@pytest.mark.parametrize("given", [
    {"lease_seconds": 5}, {"task_seconds": 30}, {"statement_seconds": 15}, {"idle_transaction_seconds": 21},
])  # fmt: skip
def test_time_outs_out_of_order_are_refused(given):
    """A transaction ends before its task is killed, and the task is dead before another may hold its lease."""
    with pytest.raises(ValidationError, match="must hold"):
        Settings(**given)


@pytest.mark.parametrize(
    "given", [{"concurrency": 0}, {"batch_documents": 0}, {"pending_cap": 0}, {"log_level": "loud"}]
)
def test_numbers_and_names_are_bounded(given):
    with pytest.raises(ValidationError):
        Settings(**given)


def test_every_setting_says_what_it_is():
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_levels_are_of_all_areas_and_of_single_ones():
    assert parse_levels("warning, ingest=debug,celery=info") == ("warning", {"ingest": "debug", "celery": "info"})
    assert parse_levels("INFO") == ("info", {})
    assert parse_levels("store=debug") == ("info", {"store": "debug"})


@pytest.mark.parametrize("text", ["loud", "info,ingest=loud", "ingest="])
def test_unusable_levels_are_refused_with_a_sentence(text):
    with pytest.raises(ValidationError, match="log level"):
        Settings(log_level=text)


@pytest.mark.parametrize("text", ["20", "20/50", "ai=x/1/2", "20/50/70;30/50/70"])
def test_rules_of_heat_are_checked_at_the_start(monkeypatch, text):
    monkeypatch.setenv("COPYDESK_HEAT", text)
    with pytest.raises(ValueError, match="bonus/floor/threshold"):
        Settings()


@pytest.mark.parametrize("fault", ["writable", "link", "file"])
def test_a_folder_for_sockets_that_others_may_write_is_refused(tmp_path, monkeypatch, request, fault):
    temporary = Path(tempfile.mkdtemp(prefix="cd-", dir="/tmp"))  # pytest's own folders are too long for a socket
    request.addfinalizer(lambda: shutil.rmtree(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    folder, deep = temporary / f"copydesk-{os.geteuid()}", tmp_path / ("x" * 100)
    assert embedded_socket(deep).parent == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
    if fault == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    elif fault == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.write_text("")
    with pytest.raises(UnsafeFolder, match="must be a folder of this user alone"):
        embedded_socket(deep)
