-- Finds entries whose lease ran out and takes them for dispatching again; no attempt is counted by that.
-- KEYS: stream. ARGV: group, "dispatched" consumer, lease in ms, most entries.
-- Returns {id, attempts, …}.
local out = {}
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])) do
  local taken = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], held[1], 'RETRYCOUNT', held[4], 'JUSTID')
  if taken[1] then
    out[#out + 1] = held[1]
    out[#out + 1] = held[4] - 1
  else
    redis.call('XACK', KEYS[1], ARGV[1], held[1])
  end
end
return out
