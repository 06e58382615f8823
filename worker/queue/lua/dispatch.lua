#!lua flags=allow-oom
-- Dispatches new entries of a lane without their payload: the dispatcher needs ids and sizes, never 500 MB of text.
-- KEYS: stream, sizes of its oversized entries (hash).
-- ARGV: group, consumer, limit of entries, limit of pending entries, limit of bytes, and the smallest batch that is
-- worth waiting for: '' (any), "half" of a batch, or a "full" batch because the pool is busy.
-- Returns {backlog, pending, id, bytes, id, bytes, …}.
local summary = redis.call('XPENDING', KEYS[1], ARGV[1])
local pending, backlog = summary[1], redis.call('XLEN', KEYS[1])
local capacity = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - pending)
local out = {backlog, pending}
-- A batch of a few entries costs nearly as much as a full one. So wait for half a batch when more entries wait than the
-- pending cap admits, and for a full batch when the pool is busy and an earlier claim check still waits for it. When
-- nothing is pending, do not wait.
local full, minimum = math.min(tonumber(ARGV[3]), tonumber(ARGV[4])), 1
if ARGV[6] ~= '' and pending > 0 and backlog - pending > capacity then minimum = math.ceil(full / 2) end
if ARGV[6] == 'full' then
  for _, holder in ipairs(summary[4] or {}) do
    if holder[1] == ARGV[2] then minimum = full end
  end
end
if minimum > 1 and math.min(capacity, backlog - pending) < minimum then return out end
local bytes, max_bytes = 0, tonumber(ARGV[5])
while capacity > 0 and bytes < max_bytes do
  -- Read one entry at a time: an oversized entry then ends the batch, and several do not fill the server's memory.
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not reply then break end
  local id, fields, size = reply[1][2][1][1], reply[1][2][1][2] or {}, 0
  for _, part in ipairs(fields) do size = size + #part end
  if size >= max_bytes then
    -- No command returns an entry's size without copying the entry into this script. So store the size after one copy.
    redis.call('HSET', KEYS[2], id, size)
    reply, fields = nil, nil
    collectgarbage()
  end
  bytes = bytes + size
  out[#out + 1] = id
  out[#out + 1] = size
  capacity = capacity - 1
end
return out
