#!lua flags=allow-oom
-- Returns a lane's state at one moment, without the payload of its first and last entry, which XINFO STREAM contains.
-- KEYS: stream, outcome counters (hash), entries that an interrupted repair must still add again (stream), its paused
-- sources (hash), ids by which entries are ordered (hash). ARGV: group.
-- Returns {entries ever added, backlog, pending, last id, oldest id or false, {outcome, count, …}, entries set aside,
-- {paused source, its entries, …}}. `oldest` and `pending` leave out the entries of paused sources that were read.
-- `oldest` tells when that entry arrived: it is another id than its own where that does not.
local info, stream = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for n = 1, #info, 2 do stream[info[n]] = info[n + 1] end
local found = pending_of(KEYS[1], ARGV[1], KEYS[4])
local first = stream['first-entry']
local oldest = first and first[1]
if found.kept > 0 then
  oldest = found.oldest
  if not oldest and stream['length'] > found.kept then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
      local fields = {}
      for n = 1, #group, 2 do fields[group[n]] = group[n + 1] end
      if fields['name'] == ARGV[1] then oldest = first_unread(KEYS[1], fields['last-delivered-id']) end
    end
  end
end
return {stream['entries-added'], stream['length'], found.held, stream['last-generated-id'],
        oldest and arrival_of(KEYS[5], oldest) or false,
        redis.call('HGETALL', KEYS[2]), redis.call('XLEN', KEYS[3]), found.sources}
