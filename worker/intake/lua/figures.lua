#!lua flags=allow-oom
-- A lane's size at one moment, without the entries that XINFO would send along.
-- KEYS: stream. ARGV: group. Returns {entries ever added, backlog, pending}.
local info, added = redis.call('XINFO', 'STREAM', KEYS[1]), 0
for n = 1, #info, 2 do
  if info[n] == 'entries-added' then added = info[n + 1] end
end
return {added, redis.call('XLEN', KEYS[1]), redis.call('XPENDING', KEYS[1], ARGV[1])[1]}
