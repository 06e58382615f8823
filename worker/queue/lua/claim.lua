#!lua flags=allow-oom
-- Takes the lease of entries for the one who will work on them, and counts an attempt for each.
-- An entry that another worker holds under a live lease is left alone; one that is settled already is gone.
-- KEYS: stream, sizes of its giants (hash).
-- ARGV: group, consumer, "dispatched" consumer, lease in ms, most bytes of an entry, id, id, …
-- Returns {the server's time in ms, id, attempts, bytes, fields, …}; attempts counts earlier ones that ended in a death. Beyond the most bytes
-- there are no fields: such an entry is read a piece at a time, by `read_beginning`.
local time = redis.call('TIME')
local out = {time[1] * 1000 + math.floor(time[2] / 1000)}
local most, ids = tonumber(ARGV[5]), {}
for n = 6, #ARGV do ids[#ids + 1] = ARGV[n] end
-- What is handed out together lies together, so one look finds all; each other one is looked for by itself.
local found = {}
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ids[1], ids[#ids], #ids)) do found[held[1]] = held end
for _, id in ipairs(ids) do
  local held = found[id] or redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if held and (held[2] == ARGV[3] or held[2] == ARGV[2] or tonumber(held[3]) >= tonumber(ARGV[4])) then
    -- Who holds it already asks again because the reply was lost: nobody has died, so that is no second attempt.
    local count = held[2] == ARGV[2] and held[4] or held[4] + 1
    local size = tonumber(redis.call('HGET', KEYS[2], id) or 0)
    local claim = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', count}
    if size > most then claim[#claim + 1] = 'JUSTID' end
    local claimed = redis.call(unpack(claim))[1]
    if claimed then
      local fields = {}
      if size <= most then
        fields, size = claimed[2], 0
        for _, part in ipairs(fields) do size = size + #part end
        if size > most then
          redis.call('HSET', KEYS[2], id, size)
          claimed, fields = nil, {}
          collectgarbage()
        end
      end
      out[#out + 1] = id
      out[#out + 1] = math.max(count - 2, 0)
      out[#out + 1] = size
      out[#out + 1] = fields
    else
      -- Deleted from the stream while pending: nothing is left to process.
      redis.call('XACK', KEYS[1], ARGV[1], id)
      redis.call('HDEL', KEYS[2], id)
    end
  end
end
return out
