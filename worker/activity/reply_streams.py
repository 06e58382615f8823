"""Bound the number of receipt streams of each source: the most recently used ones are kept.

`reply_to` may name any stream, so several sources may use one. It is removed only when none of them keeps it: a source
never removes the stream of another one. (It can write its own receipts to it: a stream holds the newest ones only.)
"""

from __future__ import annotations

from collections.abc import Iterable

from redis.client import Pipeline

from worker.queue import keys

EXPIRE_SECONDS = 3600
_STREAMS_A_SOURCE = 10_000
"""Limit of receipt streams of one source, more than a batch can name. Each takes some 4.5 kB of Redis."""

# KEYS: the streams of the source (sorted set). ARGV: the source, the time, its limit of streams, the expiry in seconds, the
# prefix of the sets of the sources of a stream, then the streams that it uses now.
_USE = """
local prefix = ARGV[5]
for i = 6, #ARGV do
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[i])
  redis.call('SADD', prefix .. ARGV[i], ARGV[1])
  redis.call('EXPIRE', prefix .. ARGV[i], ARGV[4])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
local excess = redis.call('ZCARD', KEYS[1]) - ARGV[3]
if excess > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], excess)
  for i = 1, #oldest, 2 do
    redis.call('SREM', prefix .. oldest[i], ARGV[1])
    if redis.call('EXISTS', prefix .. oldest[i]) == 0 then redis.call('UNLINK', oldest[i]) end
  end
end
"""


def use(pipe: Pipeline, streams: Iterable[tuple[str, str]], now: float) -> None:
    """Record that sources use receipt streams now, and remove the oldest streams of a source that has too many.

    `streams`: (source, stream). It must come before the receipts in the pipeline `pipe`.
    """
    by_source: dict[str, set[str]] = {}
    for source, stream in streams:
        by_source.setdefault(source, set()).add(stream)
    for source, names in by_source.items():
        limits: tuple[float, ...] = (now, _STREAMS_A_SOURCE, EXPIRE_SECONDS)
        pipe.eval(_USE, 1, keys.reply_streams(source), source, *limits, keys.REPLY_SOURCES, *sorted(names))
