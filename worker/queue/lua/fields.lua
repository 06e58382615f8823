-- Lua passes at most about 8,000 arguments to a command, and an entry may have more. These functions stay below that.

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
  local kept, places, others = {}, {}, 0
  for n = 1, #fields, 2 do
    local name = fields[n]
    if places[name] then
      kept[places[name]] = fields[n + 1]
    elseif known[name] or others < 16 then
      if not known[name] then others = others + 1 end
      kept[#kept + 1] = name
      kept[#kept + 1] = fields[n + 1]
      places[name] = #kept
    end
  end
  return kept
end
