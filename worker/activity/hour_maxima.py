"""The maxima of an hour's minutes, kept in the hash of the hour: so a peak is as high in the plots of a week as in those of
a day, whose minutes are kept no longer than that.
"""

from __future__ import annotations

from collections.abc import Mapping

import redis

from worker.activity.minute_counters import EXPIRE_HOUR_SECONDS, Maxima, maximum_field
from worker.queue import keys

# KEYS: the hash. ARGV: expiry in seconds, then field, number, …
_KEEP = """
for i = 2, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > (tonumber(redis.call('HGET', KEYS[1], ARGV[i])) or -1) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


def keep_maxima(client: redis.Redis, at: int, maxima: Mapping[Maxima, float]) -> None:
    """Keep the maxima of the minute that began `at` (seconds since 1970), where the hour has lower ones.

    Raises redis.RedisError.
    """
    if maxima:
        rows = [part for key, value in maxima.items() for part in (maximum_field(key), f"{value:.4g}")]
        client.eval(_KEEP, 1, keys.hour(at // 3600), EXPIRE_HOUR_SECONDS, *rows)
