#!lua flags=allow-oom
-- Hands out new entries of a lane without their payload: the dispatcher needs ids and sizes, never 500 MB of text.
-- KEYS: stream. ARGV: group, consumer, most entries, most pending, most bytes.
-- Returns {backlog, pending, id, bytes, id, bytes, …}.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])[1]
local room = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - pending)
local out = {redis.call('XLEN', KEYS[1]), pending}
local bytes = 0
while room > 0 and bytes < tonumber(ARGV[5]) do
  -- One at a time, so that a giant travels alone and several do not pile up in the server's memory.
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not reply then break end
  local entry, size = reply[1][2][1], 0
  for _, part in ipairs(entry[2] or {}) do size = size + #part end
  bytes = bytes + size
  out[#out + 1] = entry[1]
  out[#out + 1] = size
  room = room - 1
end
return out
