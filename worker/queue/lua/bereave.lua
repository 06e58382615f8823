#!lua flags=allow-oom
-- A process is dead: notes it with each entry that it was reading, and gives what it held to the reaper at once.
-- KEYS: stream, deaths (hash: id -> one JSON object a line). ARGV: group, the dead consumer, "dispatched" consumer, lease
-- in ms, most ids in the hash, seconds to keep it, the death as JSON. Returns {id, attempts, …} of what it was reading.
local out = {}
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])) do
  -- More deliveries than the first: an attempt is counted, so it was in the part that a document can be guilty of.
  if held[4] > 1 then
    out[#out + 1] = held[1]
    out[#out + 1] = held[4] - 1
    local known = redis.call('HGET', KEYS[2], held[1])
    if known or redis.call('HLEN', KEYS[2]) < tonumber(ARGV[5]) then
      redis.call('HSET', KEYS[2], held[1], known and string.sub(known, -4000) .. '\n' .. ARGV[7] or ARGV[7])
    end
  end
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, held[1], 'IDLE', ARGV[4], 'RETRYCOUNT', held[4], 'JUSTID')
end
if #out > 0 then redis.call('EXPIRE', KEYS[2], ARGV[6]) end
return out
