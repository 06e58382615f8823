#!lua flags=allow-oom
-- Starts the lease of entries for a consumer, and counts an attempt for each.
-- An entry that another consumer holds under a valid lease is skipped, and so is one that is settled. One whose source
-- was paused after it was dispatched is given to the consumer of that source.
-- KEYS: stream, sizes of its oversized entries (hash), its paused sources (hash), original ids of added entries (hash),
-- ids by which entries are ordered (hash).
-- ARGV: group, consumer, "dispatched" consumer, lease in ms, limit of an entry's bytes, id, id, …
-- Returns {the server's time in ms, id, attempts, bytes, fields, original id or '',
-- the id by which it is ordered (see keys.py) or '', …}. attempts counts earlier ones that
-- ended in a crash. An entry beyond the limit has no fields here; `read_prefix` (oversized.py) reads it in pieces.
local time = redis.call('TIME')
local out = {time[1] * 1000 + math.floor(time[2] / 1000)}
local max_bytes, ids = tonumber(ARGV[5]), {}
local has_sizes, has_pauses, has_originals, has_orders = is_hash(KEYS[2]), is_hash(KEYS[3]), is_hash(KEYS[4]), is_hash(KEYS[5])
for n = 6, #ARGV do ids[#ids + 1] = ARGV[n] end
-- Entries dispatched together are mostly adjacent, so one XPENDING finds most of them. The others are looked up singly.
local found = {}
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ids[1], ids[#ids], #ids)) do found[held[1]] = held end
for _, id in ipairs(ids) do
  local held = found[id] or redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if held and not source_kept_by(held[2]) and (held[2] == ARGV[3] or held[2] == ARGV[2] or tonumber(held[3]) >= tonumber(ARGV[4])) then
    -- The same consumer asks again when the reply was lost. Nothing crashed, so that is no second attempt.
    local count = held[2] == ARGV[2] and held[4] or held[4] + 1
    local size = has_sizes and tonumber(redis.call('HGET', KEYS[2], id)) or 0
    local claim = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', count}
    if size > max_bytes then claim[#claim + 1] = 'JUSTID' end
    local claimed = redis.call(unpack(claim))[1]
    local source = has_pauses and claimed and size <= max_bytes and source_of(KEYS[1], claimed[2])
    if source and redis.call('HGET', KEYS[3], source) then
      keep_paused(KEYS[1], ARGV[1], source, id, math.max(1, count - 1))
    elseif claimed then
      local fields = {}
      if size <= max_bytes then
        fields = claimed[2]
        size = bytes_of(fields)
        if size > max_bytes then
          redis.pcall('HSET', KEYS[2], id, size)
          claimed, fields = nil, {}
          collectgarbage()
        end
      end
      out[#out + 1] = id
      out[#out + 1] = math.max(count - 2, 0)
      out[#out + 1] = size
      out[#out + 1] = fields
      out[#out + 1] = has_originals and redis.call('HGET', KEYS[4], id) or ''
      out[#out + 1] = has_orders and redis.call('HGET', KEYS[5], id) or ''
    else
      -- The entry was deleted from the stream while it was pending, so there is nothing to process.
      redis.call('XACK', KEYS[1], ARGV[1], id)
      if has_sizes then redis.call('HDEL', KEYS[2], id) end
      if has_orders then redis.call('HDEL', KEYS[5], id) end
    end
  end
end
return out
