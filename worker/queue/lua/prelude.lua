-- Functions for all scripts. Lua passes at most about 8,000 arguments to a command, and an entry may have more.

-- Calls a command once for every 1,000 of `values`. `head` and `tail` are its arguments before and after them.
local function in_parts(head, values, tail)
  for first = 1, #values, 1000 do
    local command = {unpack(head)}
    for n = first, math.min(first + 999, #values) do command[#command + 1] = values[n] end
    for _, word in ipairs(tail or {}) do command[#command + 1] = word end
    redis.call(unpack(command))
  end
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

-- Appends a report to those of an entry, in a hash that holds at most `limit` entries and expires after `expiry` seconds.
local function add_crash_report(reports, id, report, limit, expiry)
  local known = redis.call('HGET', reports, id)
  if known or redis.call('HLEN', reports) < tonumber(limit) then
    redis.call('HSET', reports, id, known and string.sub(known, -4000) .. '\n' .. report or report)
    redis.call('EXPIRE', reports, expiry)
  end
end
