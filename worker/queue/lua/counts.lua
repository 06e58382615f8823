#!lua flags=allow-oom
-- Returns a lane's counts at one moment. XINFO STREAM also copies the first and the last entry, which may be oversized.
-- The group also knows how many entries were ever added, unless somebody deleted entries that it had not read.
-- KEYS: stream, sizes of its oversized entries (hash). ARGV: group.
-- Returns {entries ever added, backlog, pending, oldest id or false}.
local added
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local fields = {}
  for n = 1, #group, 2 do fields[group[n]] = group[n + 1] end
  if fields['name'] == ARGV[1] and fields['entries-read'] and fields['lag'] then
    added = fields['entries-read'] + fields['lag']
  end
end
if not added then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for n = 1, #info, 2 do
    if info[n] == 'entries-added' then added = info[n + 1] end
  end
end
-- Settled entries are deleted, so the oldest entry is the first pending one, or if none is pending the stream's first.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
local backlog, oldest = redis.call('XLEN', KEYS[1]), pending[2]
if not oldest and backlog > 0 and redis.call('HLEN', KEYS[2]) == 0 then
  oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
end
return {added, backlog, pending[1], oldest}
