"""Settings come from the environment, are checked at the start, and never show a secret."""

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.servers import ROOT
from worker.embedded_socket import UnsafeFolder, embedded_socket
from worker.server_urls import normal_database_url
from worker.settings import Lane, Settings, parse_lanes, parse_levels, unknown_settings


def test_lanes_have_a_name_a_weight_and_perhaps_a_source():
    lanes = parse_lanes("documents=4, documents:urgent=8@agency,bulk")
    assert lanes == (Lane("documents", 4), Lane("documents:urgent", 8, "agency"), Lane("bulk", 1))


@pytest.mark.parametrize("text", [
    "", ",", "a b=1", "copydesk:internal=1", "replies:x=1", "documents=0", "documents=101", "documents=-1", "documents=x",
    "-x=1", "x" * 65, "documents\n=1",
])  # fmt: skip
def test_invalid_lanes_are_refused_with_a_sentence(text):
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


def test_a_sqlite_url_is_not_changed():
    assert normal_database_url("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


@pytest.mark.parametrize("given", [
    {"lease_seconds": 5}, {"task_seconds": 30}, {"statement_seconds": 15}, {"idle_transaction_seconds": 21},
])  # fmt: skip
def test_time_outs_out_of_order_are_refused(given):
    """A transaction ends before its task is killed, and the task has ended before another process may hold its lease."""
    with pytest.raises(ValidationError, match="must hold"):
        Settings(**given)


@pytest.mark.parametrize(
    "given", [{"concurrency": 0}, {"batch_documents": 0}, {"pending_cap": 0}, {"log_level": "loud"}]
)
def test_numbers_and_names_are_bounded(given):
    with pytest.raises(ValidationError):
        Settings(**given)


FLOATS = [name for name, field in Settings.model_fields.items() if field.annotation in (float, float | None)]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "Infinity", "1e400"])
def test_numbers_are_finite(name, value):
    with pytest.raises(ValidationError, match="finite"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", [name for name in FLOATS if name.endswith("_seconds")])
def test_seconds_are_as_long_as_a_wait_or_a_time_out_can_be(name):
    later = dict.fromkeys(["statement_seconds", "idle_transaction_seconds", "task_seconds", "lease_seconds"], "1e300")
    with pytest.raises(ValidationError, match="less than or equal to 1000000"):
        Settings(**{**(later if name in later else {}), name: "1e300"})


@pytest.mark.parametrize("url", [
    "redis://host:6379/abc", "rediss://host/0x1", "redis://host/-1", "redis://host/0/1", "redis://u:secret@host/1a",
    "redis://host?db=x", "unix:///tmp/redis.sock?db=one", "redis+sentinel://host/mymaster/abc", "redis://host/%31", "redis://host/٣",
])  # fmt: skip
def test_a_database_of_redis_that_is_no_number_is_refused(url):
    """Clients use the database 0 instead."""
    with pytest.raises(ValidationError, match="its database is not a number") as refused:
        Settings(redis_url=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", [
    "redis://host", "redis://host/", "redis://host/15", "unix:///tmp/redis.sock", "unix:///tmp/redis.sock?db=2", "redis://host?db=3",
    "redis+sentinel://host/mymaster", "redis+sentinel://a:1,b:2/mymaster/3?sentinel_password=abc",
])  # fmt: skip
def test_a_database_of_redis_is_a_number_or_left_out(url):
    assert Settings(redis_url=url).redis == url


@pytest.mark.parametrize("source", ["x" * 201, "a\nb", "a\u2028b", "a\udcffb"], ids=ascii)
def test_a_lane_has_a_source_that_a_document_may_have(source):
    with pytest.raises(ValidationError, match="lane 'documents': its source must be at most 200 characters"):
        Settings(lanes=f"documents=4@{source}")
    assert Settings(lanes="documents=4@" + "x" * 200).lane_list[0].source == "x" * 200


@pytest.mark.parametrize("weight", ["9" * 5000, "٣", "²"])
def test_a_weight_is_a_number_in_ascii(weight):
    with pytest.raises(ValidationError, match="the weight must be a number from 1 to 100"):
        Settings(lanes=f"documents={weight}")


def test_every_setting_has_a_description():
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_log_levels_apply_to_all_areas_or_to_single_ones():
    assert parse_levels("warning, ingest=debug,celery=info") == ("warning", {"ingest": "debug", "celery": "info"})
    assert parse_levels("INFO") == ("info", {})
    assert parse_levels("store=debug") == ("info", {"store": "debug"})


@pytest.mark.parametrize("text", ["loud", "info,ingest=loud", "ingest="])
def test_invalid_log_levels_are_refused_with_a_sentence(text):
    with pytest.raises(ValidationError, match="log level"):
        Settings(log_level=text)


@pytest.mark.parametrize("text", ["20", "20/50", "ai=x/1/2", "20/50/70;30/50/70"])
def test_rules_of_heat_are_checked_at_the_start(monkeypatch, text):
    monkeypatch.setenv("COPYDESK_HEAT", text)
    with pytest.raises(ValueError, match="bonus/floor/threshold"):
        Settings()


@pytest.mark.parametrize(("name", "near"), [
    ("COPYDESK_CONCURENCY", "COPYDESK_CONCURRENCY"), ("COPYDESK_LANE", "COPYDESK_LANES"), ("COPYDESK_REDIS", "COPYDESK_REDIS_URL"),
    ("COPYDEKS_REDIS_URL", "COPYDESK_REDIS_URL"), ("COPY_DESK_LOG_LEVEL", "COPYDESK_LOG_LEVEL"),
    ("copydesk_concurency", "COPYDESK_CONCURRENCY"), (" COPYDESK_LANES", "COPYDESK_LANES"), ("COPYDESK_LANES ", "COPYDESK_LANES"),
    ("COPYDESK-LANES", "COPYDESK_LANES"), ("Copydesk Data Dir", "COPYDESK_DATA_DIR"), ("copydesk_failpoints", "COPYDESK_FAILPOINTS"),
    ("COPYDESKLANES", "COPYDESK_LANES"),
])  # fmt: skip
def test_an_unknown_setting_is_reported_with_the_nearest_one(name, near):
    [sentence] = unknown_settings([name, "PATH"])
    assert sentence.startswith(name if " " not in name else repr(name))
    assert sentence.endswith(f"Is {near} meant?")


def test_an_unknown_setting_without_a_near_one_is_reported():
    [sentence] = unknown_settings(["COPYDESK_\x1b[31mZZQQZZQQZZQQ"])
    assert sentence == "'COPYDESK_\\x1b[31mZZQQZZQQZZQQ' is no setting, so it changes nothing."


@pytest.mark.parametrize("name", [
    "copydesk_concurrency", "Copydesk_Lanes", "COPYDESK_TEST_CORPUS", "COPYDESK_SUPERVISOR_PID", "_COPYDESK_COMPLETE",
    "REDIS_URL", "XDG_DESKTOP_DIR", "DESKTOP_SESSION", "COPYRIGHT", "COPYDESK_PORT", "COPYDESK_SERVICE_HOST",
    "COPYDESK_PORT_9090_TCP_ADDR", "COPYDESK_METRICS_SERVICE_PORT_HTTP",
])  # fmt: skip
def test_known_and_foreign_variables_are_not_reported(name):
    assert unknown_settings([name]) == []


def test_names_of_settings_are_case_insensitive(monkeypatch):
    monkeypatch.setenv("Copydesk_Concurrency", "7")
    assert Settings().concurrency == 7


def test_every_variable_that_the_project_names_is_known():
    files = [*(ROOT / "worker").rglob("*"), *ROOT.glob("*.yml"), *ROOT.glob("*.md"), ROOT / "schemas" / "README.md"]
    texts = [file.read_text("utf-8", "replace") for file in files if file.suffix in (".py", ".yml", ".md", ".html", "")
             and file.is_file() and "__pycache__" not in str(file)]  # fmt: skip
    names = {name for text in texts for name in re.findall(r"(?<!\w)COPYDESK_[A-Z_]*[A-Z]\b", text)}
    assert "COPYDESK_REDIS_URL" in names
    assert unknown_settings(names - {"COPYDESK_TEST", "COPYDESK_CONCURENCY"}) == []


@pytest.mark.parametrize("fault", ["writable", "link", "file"])
def test_a_folder_for_sockets_that_others_may_write_is_refused(tmp_path, monkeypatch, request, fault):
    temporary = Path(tempfile.mkdtemp(prefix="cd-", dir="/tmp"))  # pytest's own folders are too long for a socket
    request.addfinalizer(lambda: shutil.rmtree(temporary))
    monkeypatch.setattr("worker.embedded_socket._TEMPORARY", temporary)
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


@pytest.mark.parametrize("length", [1, 100])
def test_each_process_finds_the_same_socket_through_links_and_with_another_temporary_folder(
    tmp_path, monkeypatch, length
):
    real = Path(tempfile.mkdtemp(prefix="cd-", dir="/tmp"))
    link = tmp_path / ("x" * length)
    link.symlink_to(real)
    try:
        assert embedded_socket(link) == embedded_socket(real) == real / "valkey.sock"
        deep = real / ("y" * 100)
        before = embedded_socket(deep)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        assert embedded_socket(link / deep.name) == embedded_socket(deep) == before
    finally:
        shutil.rmtree(real)


def test_the_page_of_the_settings_has_each_with_its_default_and_meaning():
    def default(value):
        return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in (None, "") else ""

    rows = [
        f"| `COPYDESK_{name.upper()}` | {default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    table = "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])
    assert table in (ROOT / "worker" / "deploy" / "SETTINGS.md").read_text("utf-8"), f"The page needs:\n{table}"
