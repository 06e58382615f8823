#!lua flags=allow-oom
-- Keeps the lease (or with another owner hands the entry to the next dispatcher) and takes back the attempt that the claim
-- counted. The number is set, not lowered: asking again because the reply was lost changes nothing.
-- KEYS: stream. ARGV: group, consumer, new owner, idle in ms, id, its earlier deaths, id, …
local changed = 0
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if held and held[2] == ARGV[2] then
    local count = ARGV[i + 1] + 1
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, id, 'IDLE', ARGV[4], 'RETRYCOUNT', count, 'JUSTID')
    changed = changed + 1
  end
end
return changed
