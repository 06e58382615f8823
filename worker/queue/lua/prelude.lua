-- Functions for all scripts. Lua passes at most about 8,000 arguments to a command, and an entry may have more.

-- Whether a key holds a hash. The scripts of a batch (claim, settle) read a hash only if so, and write it with pcall: another
-- program may have overwritten it. An error would hold up the entries until their lease expires, or hide that they were
-- settled. The hash counts as empty until the dispatcher has repaired it (key_check.py). So does a value in it that is no
-- number: tonumber gives nil, and HINCRBY an error.
local function is_hash(key) return redis.call('TYPE', key).ok == 'hash' end

-- Calls a command once for every 1,000 of `values`. `head` and `tail` are its arguments before and after them.
local function in_parts(head, values, tail)
  for first = 1, #values, 1000 do
    local command = {unpack(head)}
    for n = first, math.min(first + 999, #values) do command[#command + 1] = values[n] end
    for _, word in ipairs(tail or {}) do command[#command + 1] = word end
    redis.call(unpack(command))
  end
end

-- Returns the bytes of an entry's fields {name, value, …}, with 16 for each name and each value: an empty one takes memory
-- and time too, here and in the worker. With 0 for them, a batch of 200 entries with 400,000 empty fields had no bytes, and
-- blocked Redis for 12 s.
local function bytes_of(fields)
  local size = 16 * #fields
  for _, part in ipairs(fields) do size = size + #part end
  return size
end

-- Returns the fields {name, value, …} with which an entry is added again. An entry of more than 2,000 fields keeps the
-- last value of each field of the contract, which is the value that a worker reads, and the first 16 other fields,
-- which the worker names in a warning.
local function fitting(fields)
  if #fields <= 4000 then return fields end
  local known = {raw = 1, source = 1, key = 1, op = 1, reply_to = 1, traceparent = 1, revision = 1, dead_letter = 1}
  local chosen, places, others = {}, {}, 0
  for n = 1, #fields, 2 do
    local name = fields[n]
    if places[name] then
      chosen[places[name]] = fields[n + 1]
    elseif known[name] or others < 16 then
      if not known[name] then others = others + 1 end
      chosen[#chosen + 1] = name
      chosen[#chosen + 1] = fields[n + 1]
      places[name] = #chosen
    end
  end
  return chosen
end

-- Returns a field of a hash, or '' if there is none or the key is no hash. It does not ask for the type, which the user of the
-- exporter may not do.
local function field_of(key, name)
  local value = redis.pcall('HGET', key, name)
  return type(value) == 'string' and value or ''
end

-- Returns the id that a producer received for an entry. `original_ids`: the hash of those that were added again.
local function original_id(original_ids, id)
  return string.match(field_of(original_ids, id), '^%d+%-%d+$') or id
end

-- Whether an id is smaller than another one. Compares texts: ids may be larger than the integers that numbers hold exactly.
local function is_before(id, other)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  local other_ms, other_seq = string.match(other, '^(%d+)-(%d+)$')
  if ms == other_ms then ms, other_ms = seq, other_seq end
  return #ms < #other_ms or (#ms == #other_ms and ms < other_ms)
end

-- Returns the server's time in milliseconds.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether an id is so far ahead of the server's time that it does not tell when its entry arrived (see clock.py).
local function is_ahead(id) return tonumber(string.match(id, '^%d+')) >= now_ms() + AHEAD_MS end

-- Calls `visit` with each pending entry {id, consumer, idle, deliveries} of a group, or of one consumer, 1,000 at a time.
local function for_each_pending(stream, group, consumer, visit)
  local first = '-'
  while first do
    local page = redis.call(unpack({'XPENDING', stream, group, first, '+', 1000, consumer}))
    first = nil
    for _, held in ipairs(page) do
      first = '(' .. held[1]
      visit(held)
    end
  end
end

-- Returns how many crash reports an entry has. Each earlier attempt has one: if more attempts are counted, the entry is read.
local function count_crash_reports(reports, id)
  local known = redis.call('HGET', reports, id)
  return known and select(2, string.gsub(known, '\n', '')) + 1 or 0
end

-- Appends a report to those of an entry, in a hash that holds at most `limit` entries and expires after `expiry` seconds.
local function add_crash_report(reports, id, report, limit, expiry)
  local known = redis.call('HGET', reports, id)
  if known or redis.call('HLEN', reports) < tonumber(limit) then
    redis.call('HSET', reports, id, known and string.sub(known, -4000) .. '\n' .. report or report)
    redis.call('EXPIRE', reports, expiry)
  end
end

-- Entries of a paused source stay on the stream. They are pending for a consumer of the source: 'paused: ' and its name.
-- No worker's consumer (host:pid) has such a name, because a host name has no blank.
-- The consumer with an empty name keeps entries that came back while the lane was paused.
local PAUSED = 'paused: '

-- Returns the source whose entries a consumer keeps while the source is paused; nil for any other consumer. It is empty for
-- the consumer of a paused lane. No source has that name, so none is paused, and dispatch.lua takes its entries.
local function source_kept_by(consumer)
  if string.sub(consumer, 1, #PAUSED) == PAUSED then return string.sub(consumer, #PAUSED + 1) end
end

-- Returns the source of an entry: its last field `source`, or the lane's name. One that is not valid is returned as it is.
local function source_of(lane, fields)
  local source = ''
  for n = 1, #fields, 2 do
    if fields[n] == 'source' then source = fields[n + 1] end
  end
  return source ~= '' and source or lane
end

-- Gives an entry to the consumer of its source, which is paused. `count` is its delivery count.
local function keep_paused(lane, group, source, id, count)
  redis.call('XCLAIM', lane, group, PAUSED .. source, 0, id, 'RETRYCOUNT', count, 'JUSTID')
end

-- Returns the pending entries of a group, counted by what holds them. `pauses`: the paused sources (hash).
-- held: dispatched or processed; kept: of paused sources; sources: {source, entries, …} of these; resumed: the consumers
-- of sources that are not paused any more; others: all other consumers; oldest: the oldest id but for `kept`, or nil.
local function pending_of(lane, group, pauses)
  local summary = redis.call('XPENDING', lane, group)
  local found = {held = summary[1], kept = 0, sources = {}, resumed = {}, others = {}, oldest = summary[2] or nil}
  for _, holder in ipairs(summary[4] or {}) do
    local source = source_kept_by(holder[1])
    if source and redis.call('HGET', pauses, source) then
      found.kept = found.kept + holder[2]
      found.sources[#found.sources + 1] = source
      found.sources[#found.sources + 1] = tonumber(holder[2])
    else
      local list = source and found.resumed or found.others
      list[#list + 1] = holder[1]
    end
    if source then found.held = found.held - holder[2] end
  end
  if found.kept > 0 then
    found.oldest = nil
    for _, list in ipairs({found.resumed, found.others}) do
      for _, consumer in ipairs(list) do
        local first = redis.call('XPENDING', lane, group, '-', '+', 1, consumer)[1]
        if first and (not found.oldest or is_before(first[1], found.oldest)) then found.oldest = first[1] end
      end
    end
  end
  return found
end

-- Returns what is known of the order of an entry (`order_ids` in keys.py), or nil. `orders`: the hash of it.
local function order_of(orders, id)
  local order = field_of(orders, id)
  return string.match(order, '^%d+%-%d+$') or string.match(order, '^%d+%-%d+ %d+$')
end

-- Returns an id that tells when an entry arrived: mostly its own.
local function arrival_of(orders, id)
  local order = order_of(orders, id)
  if not order then return id end
  local arrived = string.match(order, ' (%d+)$')
  return arrived and arrived .. '-0' or order
end

-- Returns the highest id by which an entry is ordered, as two numbers, and whether the server's clock was set back behind it and
-- has not caught up. From the year 2100 on, another program has written it.
local function read_newest(key)
  local ms, seq, back = string.match(redis.call('GET', key) or '', '^(%d+)-(%d+)( ?%a*)$')
  ms, seq = tonumber(ms or 0), tonumber(seq or 0)
  if ms >= 4102444800000 then return 0, 0, false end
  local now = now_ms()
  return ms, seq, ms >= now + AHEAD_MS or (ms >= now and back == ' back')
end

local function write_newest(key, ms, seq, is_back)
  redis.call('SET', key, string.format('%.0f-%.0f', ms, seq) .. (is_back and ' back' or ''))
end

-- Returns the id of the first entry after `last_read`, or nil. The user of the exporter may not read entries; to it, the
-- time of the last one that was read is the best that is known.
local function first_unread(lane, last_read)
  local reply = redis.pcall('XRANGE', lane, '(' .. last_read, '+', 'COUNT', 1)
  if reply.err then return last_read ~= '0-0' and last_read or nil end
  return reply[1] and reply[1][1]
end
