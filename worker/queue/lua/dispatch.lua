#!lua flags=allow-oom
-- Hands out new entries of a lane without their payload: the dispatcher needs ids and sizes, never 500 MB of text.
-- KEYS: stream, sizes of its giants (hash). ARGV: group, consumer, most entries, most pending, most bytes, how much is
-- worth waiting for: nothing (empty), "half" a batch, or a "full" one, for the pool is busy.
-- Returns {backlog, pending, id, bytes, id, bytes, …}.
local summary = redis.call('XPENDING', KEYS[1], ARGV[1])
local pending, backlog = summary[1], redis.call('XLEN', KEYS[1])
local room = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - pending)
local out = {backlog, pending}
-- A handful costs nearly as much as a batch. What is worth waiting for: half a batch where more waits than there is room for,
-- a whole one where the pool is busy and something sent before still waits for it. An idle desk waits for nothing.
local whole, least = math.min(tonumber(ARGV[3]), tonumber(ARGV[4])), 1
if ARGV[6] ~= '' and pending > 0 and backlog - pending > room then least = math.ceil(whole / 2) end
if ARGV[6] == 'full' then
  for _, holder in ipairs(summary[4] or {}) do
    if holder[1] == ARGV[2] then least = whole end
  end
end
if least > 1 and math.min(room, backlog - pending) < least then return out end
local bytes, most = 0, tonumber(ARGV[5])
while room > 0 and bytes < most do
  -- One at a time, so that a giant travels alone and several do not pile up in the server's memory.
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not reply then break end
  local id, fields, size = reply[1][2][1][1], reply[1][2][1][2] or {}, 0
  for _, part in ipairs(fields) do size = size + #part end
  if size >= most then
    -- No command tells a size without copying the entry into this script, so that is done once and remembered.
    redis.call('HSET', KEYS[2], id, size)
    reply, fields = nil, nil
    collectgarbage()
  end
  bytes = bytes + size
  out[#out + 1] = id
  out[#out + 1] = size
  room = room - 1
end
return out
