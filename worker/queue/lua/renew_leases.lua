#!lua flags=allow-oom
-- Detects that the server's clock was set back, and then renews every lease. A lease counts from the time of delivery.
-- Without this, a lease from before the step expires only when the clock has caught up, perhaps hours later, although
-- no process holds the entry.
-- KEYS: stream, the time of the last check (string, ms). ARGV: group. Returns how many leases were renewed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = tonumber(redis.call('GET', KEYS[2]) or '0')
local renewed = 0
if now < before - 1000 then
  for_each_pending(KEYS[1], ARGV[1], nil, function(held)
    redis.call('XCLAIM', KEYS[1], ARGV[1], held[2], 0, held[1], 'IDLE', 0, 'RETRYCOUNT', held[4], 'JUSTID')
    renewed = renewed + 1
  end)
end
redis.call('SET', KEYS[2], string.format('%.0f', now))
return renewed
