#!lua flags=allow-oom
-- Removes entries whose outcome is committed, and counts each outcome once, however often it is settled.
-- KEYS: stream, outcome counters (hash). ARGV: group, id, outcome, id, outcome, …
-- Returns the ids that were still there.
local settled = {}
for i = 2, #ARGV, 2 do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
    settled[#settled + 1] = ARGV[i]
    redis.call('HINCRBY', KEYS[2], ARGV[i + 1], 1)
  end
end
return settled
