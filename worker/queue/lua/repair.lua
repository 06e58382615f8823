-- Rebuilds a lane after a producer chose ids from the future. Otherwise every new id would be in the future too, or no
-- id would be left. A stream's last id cannot be lowered, so the stream is renamed and all its entries are added again
-- in their order to a new one. An entry that was dispatched keeps the id by which its version is ordered: otherwise it
-- would replace a newer version that was stored before the repair. The others keep theirs unless it is ahead of time, or the
-- server's clock was set back: then they get one when they are dispatched, after those that were. If the script is interrupted
-- (out of memory), the next run continues at the same place.
-- KEYS: stream, outcome counters (hash), name of the old stream meanwhile, original ids of added entries (hash),
-- ids by which entries are ordered (hash), the highest of them in all lanes (string).
-- ARGV: group, expiry of the original ids in seconds.
-- Returns {entries added again, entries that vanished, because a producer trimmed or deleted them}.
local lane, counters, aside, original_ids, order_ids, group = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], ARGV[1]

local function info()
  local found, flat = {}, redis.call('XINFO', 'STREAM', lane)
  for n = 1, #flat, 2 do found[flat[n]] = flat[n + 1] end
  return found
end

local found = info()
if is_ahead(found['last-generated-id']) and redis.call('EXISTS', aside) == 0 then
  redis.call('RENAME', lane, aside)
  redis.call('XGROUP', 'CREATE', lane, group, '0', 'MKSTREAM')
  -- New ids begin after this millisecond: an entry that was added in it, and is held by a worker, has another one.
  local last = string.format('%.0f-18446744073709551615', now_ms())
  redis.call('XSETID', lane, last, 'ENTRIESADDED', found['entries-added'], 'MAXDELETEDID', '0-1')
end

local dispatched = '0-0'
if redis.call('EXISTS', aside) == 1 then
  for _, group_info in ipairs(redis.call('XINFO', 'GROUPS', aside)) do
    local fields = {}
    for n = 1, #group_info, 2 do fields[group_info[n]] = group_info[n + 1] end
    if fields['name'] == group then dispatched = fields['last-delivered-id'] end
  end
end
local _, _, is_back = read_newest(KEYS[6])
local function keeps_id(id) return not is_before(dispatched, id) or not (is_back or is_ahead(id)) end

local moved = 0
while true do
  local entries = redis.call('XRANGE', aside, '-', '+', 'COUNT', 100)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    local original = original_id(original_ids, entry[1])
    local order = order_of(order_ids, entry[1]) or (keeps_id(entry[1]) and entry[1])
    local fresh = redis.call('XADD', lane, '*', unpack(fitting(entry[2])))
    redis.pcall('HSET', original_ids, fresh, original)
    if order then redis.pcall('HSET', order_ids, fresh, order) end
    redis.pcall('HDEL', order_ids, entry[1])
    redis.call('XDEL', aside, entry[1])
    redis.pcall('HINCRBY', counters, 'readded', 1)
    moved = moved + 1
  end
end
redis.call('DEL', aside)
if moved > 0 then redis.call('EXPIRE', original_ids, ARGV[2]) end

found = info()
local settled = 0
for _, count in ipairs(redis.call('HVALS', counters)) do settled = settled + (tonumber(string.match(count, '^%d+$')) or 0) end
local vanished = found['entries-added'] - settled - found['length']
if vanished > 0 then redis.pcall('HINCRBY', counters, 'vanished', vanished) end
return {moved, vanished}
