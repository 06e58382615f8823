#!lua flags=allow-oom
-- Dispatches entries of a lane without their payload: the dispatcher needs ids and sizes, never 500 MB of text.
-- New entries of a paused source are given to the consumer of that source instead. When the source is resumed, they are
-- dispatched beside new entries, each half of the batch, so that neither waits for all of the others.
-- The call also fixes the id by which the version in an entry is ordered, however often it is delivered. That is its own id,
-- unless the id is ahead of time, or the server's clock is behind ids that were ordered before: it was ahead then, and was
-- set back. Such an entry gets the id after the newest one, so it is newer than all that was dispatched before it.
-- KEYS: stream, sizes of its oversized entries (hash), its paused sources (hash), ids by which entries are ordered (hash),
-- the newest of these of all lanes (string).
-- ARGV: group, consumer, limit of entries, limit of pending entries, limit of bytes, the smallest batch that is worth
-- waiting for: '' (any), "half" of a batch, or a "full" batch because the pool is busy; and the consumer of returned
-- entries, which the reaper sends.
-- Returns {backlog, pending, id, bytes, id, bytes, …}. Neither count contains the entries of paused sources that were
-- read before this call.
local lane, group = KEYS[1], ARGV[1]
local found = pending_of(lane, group, KEYS[3])
local pending, backlog = found.held, math.max(0, redis.call('XLEN', lane) - found.kept)
local capacity = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - pending)
local out = {backlog, pending}
-- A batch of a few entries costs nearly as much as a full one. So wait for half a batch when more entries wait than the
-- pending cap admits, and for a full batch when the pool is busy and an earlier claim check still waits for it. When
-- nothing is pending, do not wait.
local full, minimum = math.min(tonumber(ARGV[3]), tonumber(ARGV[4])), 1
if ARGV[6] ~= '' and pending > 0 and backlog - pending > capacity then minimum = math.ceil(full / 2) end
if ARGV[6] == 'full' then
  for _, consumer in ipairs(found.others) do
    if consumer == ARGV[2] then minimum = full end
  end
end
if minimum > 1 and math.min(capacity, backlog - pending) < minimum then return out end

local bytes, max_bytes = 0, tonumber(ARGV[5])
local function add(id, size)
  bytes = bytes + size
  capacity = capacity - 1
  out[#out + 1] = id
  out[#out + 1] = size
end

-- Entries that need no place in the batch, and their bytes: they are limited too, so that this script ends soon.
local skipped, skipped_bytes = 0, 0
local function has_time() return skipped < 500 and skipped_bytes < max_bytes end

-- Dispatches entries of resumed sources, until the batch has capacity for only `rest` others.
local function add_resumed(rest)
  for _, consumer in ipairs(found.resumed) do
    while capacity > rest and bytes < max_bytes and has_time() do
      local held = redis.call('XPENDING', lane, group, '-', '+', 1, consumer)[1]
      if not held then break end
      local id, count = held[1], held[4]
      local known_size = tonumber(redis.call('HGET', KEYS[2], id))
      local claim = {'XCLAIM', lane, group, ARGV[2], 0, id, 'RETRYCOUNT', count}
      if count > 1 then
        -- A process crashed while it was reading this entry. The reaper sends such entries alone.
        claim[4] = ARGV[7]
        claim[#claim + 1] = 'IDLE'
        claim[#claim + 1] = 1000000000
      end
      if known_size or count > 1 then claim[#claim + 1] = 'JUSTID' end
      local claimed = redis.call(unpack(claim))[1]
      if claimed and count == 1 then
        add(id, known_size or bytes_of(claimed[2]))
      else
        if not claimed then
          redis.call('XACK', lane, group, id)
          redis.pcall('HDEL', KEYS[4], id)
        end
        skipped = skipped + 1
      end
    end
  end
end

local now, newest_ms, newest_seq, is_back, has_read = now_ms(), read_newest(KEYS[5])

local function fix_order(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  ms, seq, has_read = tonumber(ms), tonumber(seq), true
  if is_back or ms >= now + AHEAD_MS then
    if order_of(KEYS[4], id) then return end -- a repair has added it again
    newest_seq = newest_seq + 1
    if newest_ms < now then newest_ms, newest_seq = now, 0 end
    -- Larger integers are not exact here.
    if newest_seq >= 2 ^ 53 then newest_ms, newest_seq = newest_ms + 1, 0 end
    redis.call('HSET', KEYS[4], id, string.format('%.0f-%.0f %.0f', newest_ms, newest_seq, math.min(ms, now)))
  elseif ms > newest_ms or (ms == newest_ms and seq > newest_seq) then
    newest_ms, newest_seq = ms, seq
  end
end

-- Either is an error if another program has overwritten the hash: before anything is read. The dispatcher then repairs it.
local has_pauses = redis.call('HLEN', KEYS[3]) > 0
redis.call('HLEN', KEYS[4])
if capacity > 0 then add_resumed(math.floor(capacity / 2)) end
while capacity > 0 and bytes < max_bytes and has_time() do
  -- Read one entry at a time: an oversized entry then ends the batch, and several do not fill the server's memory.
  local reply = redis.call('XREADGROUP', 'GROUP', group, ARGV[2], 'COUNT', 1, 'STREAMS', lane, '>')
  if not reply then break end
  local id, fields = reply[1][2][1][1], reply[1][2][1][2] or {}
  local size = bytes_of(fields)
  fix_order(id)
  local source = has_pauses and source_of(lane, fields)
  if size >= max_bytes then
    -- No command returns an entry's size without copying the entry into this script. So store the size after one copy.
    redis.call('HSET', KEYS[2], id, size)
    reply, fields = nil, nil
    collectgarbage()
  end
  if source and redis.call('HGET', KEYS[3], source) then
    keep_paused(lane, group, source, id, 1)
    skipped = skipped + 1
    skipped_bytes = skipped_bytes + size
  else
    add(id, size)
  end
end
add_resumed(0)
if has_read then write_newest(KEYS[5], newest_ms, newest_seq, is_back) end
return out
