#!lua flags=allow-oom
-- Takes the lease of entries for the one who will work on them, and counts an attempt for each.
-- An entry that another worker holds under a live lease is left alone; one that is settled already is gone.
-- KEYS: stream. ARGV: group, consumer, "dispatched" consumer, lease in ms, most bytes of an entry, id, id, …
-- Returns {id, attempts, bytes, fields or false, …}; attempts counts earlier ones that ended in a death.
local out = {}
for i = 6, #ARGV do
  local id = ARGV[i]
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if held and (held[2] == ARGV[3] or held[2] == ARGV[2] or tonumber(held[3]) >= tonumber(ARGV[4])) then
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', held[4] + 1)
    if claimed[1] then
      local fields, size = claimed[1][2], 0
      for _, part in ipairs(fields) do size = size + #part end
      out[#out + 1] = id
      out[#out + 1] = held[4] - 1
      out[#out + 1] = size
      if size > tonumber(ARGV[5]) then
        -- Too large to be read: its small fields, and the first 64 KiB of the others.
        for n, part in ipairs(fields) do fields[n] = string.sub(part, 1, 65536) end
      end
      out[#out + 1] = fields
    else
      -- Deleted from the stream while pending: nothing is left to process.
      redis.call('XACK', KEYS[1], ARGV[1], id)
    end
  end
end
return out
