#!lua flags=allow-oom
-- Renews the lease of entries, or gives them to another owner to be dispatched again, and sets their delivery counts.
-- The count is set, not changed by one, so a repetition after a lost reply changes nothing.
-- KEYS: stream. ARGV: group, consumer, new owner, idle time in ms, id, its deliveries, id, …
-- Returns how many of the entries the consumer held.
local ids, counts = {}, {}
for i = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  counts[#counts + 1] = ARGV[i + 1]
end
-- Entries claimed together are mostly adjacent, so one XPENDING finds most of them. The others are looked up singly.
local found = {}
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ids[1], ids[#ids], #ids)) do found[held[1]] = held end
local changed, by_count = 0, {}
for i, id in ipairs(ids) do
  local held = found[id] or redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if held and held[2] == ARGV[2] then
    local same = by_count[counts[i]] or {}
    by_count[counts[i]] = same
    same[#same + 1] = id
    changed = changed + 1
  end
end
for count, same in pairs(by_count) do
  in_parts({'XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0}, same, {'IDLE', ARGV[4], 'RETRYCOUNT', count, 'JUSTID'})
end
return changed
