"""The settings, read from environment variables (`COPYDESK_…`). Each has a type and a description with its unit."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.envelope import MAX_SOURCE, is_source
from worker.embedded_socket import embedded_redis_url
from worker.heat_rules import AllRules, parse_rules
from worker.server_urls import checked_database_url, checked_redis_url, normal_database_url

LANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
INTERNAL_LANE = "copydesk:internal"
"""The lane of replays and reprocessing. Producers cannot write to it, because their ACLs do not match its name."""
_TAKEN_NAMES = ("copydesk:", "replies:", "once:", "articles")
"""Prefixes that names of lanes must not have, because other keys in Redis have them (`worker.queue.keys`)."""

_Seconds = Annotated[float, Field(gt=0, le=1_000_000)]
"""Up to eleven days. PostgreSQL's time-outs and the waits of threads cannot be much longer."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A stream to which producers add documents.

    `weight`: its share when the dispatcher schedules lanes. `source`: the fixed source of all its documents, if set.
    """

    name: str
    weight: int = 1
    source: str | None = None


class Settings(BaseSettings):
    """All settings. Each field is read from the variable of its name with the prefix `COPYDESK_`.

    Raises ValidationError if a value is not valid.
    """

    model_config = SettingsConfigDict(
        env_prefix="COPYDESK_", extra="ignore", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    redis_url: SecretStr | None = Field(
        None, description="URL of Redis 7+ or Valkey; unset: an embedded Valkey is started"
    )
    database_url: SecretStr | None = Field(None, description="URL of PostgreSQL or SQLite; unset: SQLite in data_dir")
    data_dir: Path = Field(Path(".copydesk"), description="folder for the files of the embedded servers")
    lanes: str = Field("documents=4", description="lanes (streams) to serve: name=weight[@source],…")

    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else JSON")
    log_level: str = Field("info", description="debug, info, warning or error; of one area: info,ingest=debug")

    console_token: SecretStr | None = Field(
        None, description="token that opens the console; required if other machines can reach it; 16 characters or more"
    )

    console_users: Path | None = Field(
        None, description="file of the console's users (copydesk user); unset: console-users.json in data_dir"
    )

    concurrency: int = Field(2, ge=1, description="pool processes of a worker")
    batch_documents: int = Field(
        200, ge=1, le=2000, description="maximum number of documents in a batch; larger batches are not faster"
    )
    batch_bytes: int = Field(
        2 << 20, ge=1, description="most bytes of a batch; half of it costs CPU, twice of it memory"
    )
    pending_cap: int = Field(800, ge=1, description="documents dispatched and not settled; keeps Celery's queue short")
    max_document_bytes: int = Field(
        1 << 20, ge=1024, description="bytes; a larger document is rejected without being read"
    )
    poll_seconds: _Seconds = Field(0.003, description="seconds between polls of empty lanes at least")
    max_attempts: int = Field(
        3,
        ge=1,
        description="crashes or time-outs of processes that read or store a document, after which it is rejected as poison",
    )

    disk_free_bytes: int = Field(
        256 << 20, ge=0, description="bytes; with less free space on the disk of data_dir no document is dispatched"
    )
    redis_memory_share: float = Field(
        0.8, gt=0, le=1, description="share of Redis's maxmemory above which producers are slowed down"
    )
    slow_down_backlog: int = Field(
        10_000,
        ge=1,
        description="entries on a lane above which its producers are slowed down; about ten seconds of work of one worker",
    )
    slow_down_age_seconds: _Seconds = Field(
        60, description="seconds; age of a lane's oldest entry above which its producers are slowed down"
    )
    slow_down_longest_seconds: _Seconds = Field(
        30, description="seconds; the longest wait that a producer is asked for"
    )
    watchdog_seconds: _Seconds = Field(
        60,
        ge=1,
        description="seconds without progress after which a part of the worker, or the worker, is restarted",
    )

    # The circuit breaker pauses a lane that has too many rejections or crashes in the last `breaker_minutes`.
    breaker_minutes: int = Field(5, ge=1, le=60, description="minutes that the circuit breaker counts")
    breaker_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of rejected documents above which a source, or else the lane, is paused; 1: never",
    )
    breaker_documents: int = Field(
        500, ge=1, description="documents of a lane below which rejections never pause it or a source of it"
    )
    breaker_deaths: int = Field(
        30,
        ge=1,
        description="crashed pool processes from which a lane is paused, if their share of batches is above breaker_share",
    )

    rejected_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="share of rejected documents above which a source raises a warning; 1: only if the share is unusual for this source",
    )

    link: bool = Field(True, description="whether this worker starts a linker process; one of all linkers is active")
    link_window_articles: int = Field(
        100_000, ge=1000, description="articles that the linker holds in memory, about 1.7 kB each"
    )
    search: bool = Field(
        True,
        description="whether this worker indexes the words of titles and excerpts for the search, behind the ingest",
    )
    heat: str = Field(
        "",
        description="heat rules: bonus/floor/threshold (20/50/70), and for a source: name=10/50/60,…; unset: no warnings",
    )

    raw_days: float = Field(30, gt=0, description="days until raw bytes that no live document needs are deleted")
    receipt_days: float = Field(
        90, gt=0, description="days until receipts, closed dead letters and the log of actions are deleted"
    )
    orphan_days: float = Field(
        7, gt=0, description="days until articles that no document describes or names any more are deleted"
    )
    story_days: float | None = Field(
        None, gt=14, description="days after its newest article until a story is deleted; unset: never"
    )

    # The order of these time-outs is a guarantee (decision 3 in worker/DECISIONS.md): a transaction ends before its task
    # is killed, and the task is dead before another process can hold its lease.
    statement_seconds: _Seconds = Field(
        10, description="seconds; statement_timeout of the store, and nine tenths of it are its lock_timeout"
    )
    idle_transaction_seconds: _Seconds = Field(
        12, description="seconds; idle_in_transaction_session_timeout of the store"
    )
    task_seconds: _Seconds = Field(20, description="seconds; Celery's hard time limit of a batch")
    lease_seconds: _Seconds = Field(25, description="seconds after which a claimed entry is dispatched again")

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        return checked_redis_url(value)

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        return checked_database_url(value)

    @field_validator("lanes")
    @classmethod
    def _check_lanes(cls, value: str) -> str:
        parse_lanes(value)
        return value

    @field_validator("log_level")
    @classmethod
    def _check_log_level(cls, value: str) -> str:
        parse_levels(value)
        return value

    @field_validator("heat")
    @classmethod
    def _check_heat(cls, value: str) -> str:
        parse_rules(value)
        return value

    @field_validator("lease_seconds")
    @classmethod
    def _check_order_of_timeouts(cls, lease: float, info: object) -> float:
        data = getattr(info, "data", {})
        order = [data.get(name, 0.0) for name in ("statement_seconds", "idle_transaction_seconds", "task_seconds")]
        if sorted([*order, lease]) != [*order, lease]:
            raise ValueError(
                "must hold: statement_seconds <= idle_transaction_seconds <= task_seconds <= lease_seconds"
            )
        return lease

    @property
    def commit_seconds(self) -> float:
        """The age in seconds from which on no task can commit a row any more: its time limit, and a margin."""
        return self.task_seconds + 10

    @property
    def lane_list(self) -> tuple[Lane, ...]:
        return parse_lanes(self.lanes)

    @property
    def heat_rules(self) -> AllRules:
        return parse_rules(self.heat)

    @property
    def redis(self) -> str:
        return self.redis_url.get_secret_value() if self.redis_url else embedded_redis_url(self.data_dir)

    @property
    def database(self) -> str:
        if self.database_url is None:
            return f"sqlite:///{self.data_dir.absolute() / 'copydesk.db'}"
        return normal_database_url(self.database_url.get_secret_value())


def parse_lanes(text: str) -> tuple[Lane, ...]:
    """Parse `documents=4,documents:urgent=8@agency` (name=weight@source) into lanes, in that order.

    Raises ValueError with a sentence for the user if a name or a weight is not valid.
    """
    lanes: dict[str, Lane] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        left, _, source = part.partition("@")
        name, _, weight = left.partition("=")
        if not LANE_NAME.match(name) or name.startswith(_TAKEN_NAMES):
            raise ValueError(f"lane {name!r} is not a valid name")
        if not re.fullmatch("[0-9]{0,3}", weight) or not 1 <= int(weight or 1) <= 100:
            raise ValueError(f"lane {name!r}: the weight must be a number from 1 to 100")
        if source and not is_source(source):
            raise ValueError(
                f"lane {name!r}: its source must be at most {MAX_SOURCE} characters, no control characters"
            )
        lanes[name] = Lane(name, int(weight or 1), source or None)
    if not lanes:
        raise ValueError("at least one lane is needed")
    return tuple(lanes.values())


def parse_levels(text: str) -> tuple[str, dict[str, str]]:
    """Parse `info,ingest=debug` into the default level and the levels of single areas.

    Raises ValueError with a sentence for the user.
    """
    default, areas = "info", dict[str, str]()
    for part in filter(None, (p.strip().lower() for p in text.split(","))):
        area, equals, level = (word.strip() for word in part.rpartition("="))
        if level not in ("debug", "info", "warning", "error"):
            raise ValueError(f"log level {level!r} is none of debug, info, warning and error")
        if equals:
            areas[area] = level
        else:
            default = level
    return default, areas


_OTHER_VARIABLES = frozenset({"COPYDESK_FAILPOINTS", "COPYDESK_SUPERVISOR_PID"})
"""Variables that are no settings. Other modules read them: failpoints of tests, the process that restarts a worker."""
_TEST_PREFIX = "COPYDESK_TEST_"
_OF_KUBERNETES = re.compile(r"COPYDESK_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)\w*)?)")
"""Variables that Kubernetes sets in every container if there is a service with a name like `copydesk…`."""


def unknown_settings(environment: Iterable[str]) -> list[str]:
    """Return a sentence for each variable that looks like a setting but is none, with the most similar setting.

    `environment`: the names of variables. Values are never shown.
    """
    known = {f"COPYDESK_{name.upper()}" for name in Settings.model_fields}
    sentences = []
    for name in sorted(environment):
        plain = name.strip().upper()
        if name.upper() in known or name in _OTHER_VARIABLES or name.startswith((_TEST_PREFIX, "_")):
            continue
        if not ("COPY" in plain or "DESK" in plain) or _OF_KUBERNETES.fullmatch(name):
            continue
        import difflib

        is_ours = re.sub(r"\W|_", "", plain).startswith("COPYDESK")
        near = difflib.get_close_matches(plain, sorted(known | _OTHER_VARIABLES), n=1, cutoff=0.6 if is_ours else 0.85)
        if is_ours or near:
            printable = name if name.isprintable() and " " not in name else repr(name)
            hint = f" Is {near[0]} meant?" if near else ""
            sentences.append(f"{printable} is no setting, so it changes nothing.{hint}")
    return sentences


@functools.lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read at the first call. Raises ValidationError if one is not valid."""
    return Settings()
