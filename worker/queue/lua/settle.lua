#!lua flags=allow-oom
-- Removes entries whose outcome is committed, and counts each outcome once, even if an entry is settled again.
-- KEYS: stream, outcome counters (hash), sizes of its oversized entries (hash), its entries on which the store timed out
-- (hash), ids by which entries are ordered (hash). ARGV: group, id, outcome, …
-- Returns the ids that this call removed.
local ids, settled, counts = {}, {}, {}
for i = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
    settled[#settled + 1] = ARGV[i]
    counts[ARGV[i + 1]] = (counts[ARGV[i + 1]] or 0) + 1
  end
end
in_parts({'XACK', KEYS[1], ARGV[1]}, ids)
for _, key in ipairs({KEYS[3], KEYS[4], KEYS[5]}) do
  if is_hash(key) then in_parts({'HDEL', key}, ids) end
end
for outcome, count in pairs(counts) do redis.pcall('HINCRBY', KEYS[2], outcome, count) end
return settled
