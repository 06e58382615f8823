#!lua flags=allow-oom
-- Returns a lane's counts at one moment. XINFO STREAM also copies the first and the last entry, which may be oversized.
-- The group also knows how many entries were ever added, unless somebody deleted entries that it had not read.
-- KEYS: stream, sizes of its oversized entries (hash), its paused sources (hash), ids by which entries are ordered
-- (hash). ARGV: group.
-- Returns {entries ever added, backlog, pending, oldest id or false, {paused source, its entries, …}}. `oldest` and
-- `pending` leave out the entries of paused sources that were read. `oldest` tells when that entry arrived: it is another id
-- than its own where that does not.
local added, last_read
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local fields = {}
  for n = 1, #group, 2 do fields[group[n]] = group[n + 1] end
  if fields['name'] == ARGV[1] then
    last_read = fields['last-delivered-id']
    if fields['entries-read'] and fields['lag'] then added = fields['entries-read'] + fields['lag'] end
  end
end
if not added then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for n = 1, #info, 2 do
    if info[n] == 'entries-added' then added = info[n + 1] end
  end
end
-- Settled entries are deleted, so the oldest entry is the first pending one, or if none is pending the first unread one.
local found = pending_of(KEYS[1], ARGV[1], KEYS[3])
local backlog, oldest = redis.call('XLEN', KEYS[1]), found.oldest
if not oldest and backlog > found.kept and redis.call('HLEN', KEYS[2]) == 0 then
  oldest = first_unread(KEYS[1], last_read)
end
return {added, backlog, found.held, oldest and arrival_of(KEYS[4], oldest) or false, found.sources}
