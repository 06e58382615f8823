#!lua flags=allow-oom
-- Notices that the server's clock went back, and renews every lease then. Leases are counted from the time of delivery:
-- one given before the step would not run out until the clock has caught up, hours later perhaps, with nobody holding it.
-- KEYS: stream, the time last seen here. ARGV: group. Returns how many leases were renewed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = tonumber(redis.call('GET', KEYS[2]) or '0')
local renewed = 0
if now < before - 1000 then
  for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100000)) do
    redis.call('XCLAIM', KEYS[1], ARGV[1], held[2], 0, held[1], 'IDLE', 0, 'RETRYCOUNT', held[4], 'JUSTID')
    renewed = renewed + 1
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', now))
return renewed
