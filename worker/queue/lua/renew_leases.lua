#!lua flags=allow-oom
-- Detects that the server's clock was set back, and then renews every lease. A lease counts from the time of delivery.
-- Without this, a lease from before the step expires only when the clock has caught up, perhaps hours later, although
-- no process holds the entry. Entries of paused sources have no lease.
-- KEYS: stream, the time of the last check (string, ms). ARGV: group. Returns how many leases were renewed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = tonumber(redis.call('GET', KEYS[2])) or 0
local renewed = 0
if now < before - 1000 then
  for _, holder in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1])[4] or {}) do
    if not source_kept_by(holder[1]) then
      for_each_pending(KEYS[1], ARGV[1], holder[1], function(held)
        redis.call('XCLAIM', KEYS[1], ARGV[1], held[2], 0, held[1], 'IDLE', 0, 'RETRYCOUNT', held[4], 'JUSTID')
        renewed = renewed + 1
      end)
    end
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', now))
return renewed
