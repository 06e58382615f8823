#!lua flags=allow-oom
-- Takes entries whose lease has expired, to dispatch them again, or to keep them while the lane is paused. That counts no
-- attempt. Entries of paused sources have no lease; dispatch.lua takes them when the source is resumed.
-- An entry that a process was reading when its lease expired gets a crash report (see crashes.py).
-- KEYS: stream, crash reports (hash).
-- ARGV: group, the consumer that gets them, lease in ms, limit of entries, the time, limit of ids in the hash, the hash's
-- expiry in seconds, "dispatched" consumer, consumer of returned entries, and optionally the only consumer whose entries
-- are taken.
-- Returns {id, attempts, …}.
local out, limit = {}, tonumber(ARGV[4])

local function take(held)
  local taken = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], held[1], 'RETRYCOUNT', held[4], 'JUSTID')
  if taken[1] then
    out[#out + 1] = held[1]
    out[#out + 1] = held[4] - 1
    local is_held = held[2] ~= ARGV[8] and held[2] ~= ARGV[9]
    if is_held and held[4] - 1 > count_crash_reports(KEYS[2], held[1]) then
      local report = cjson.encode({at = ARGV[5], where = held[2], how = 'its lease expired, the process gave no sign'})
      add_crash_report(KEYS[2], held[1], report, ARGV[6], ARGV[7])
    end
  else
    redis.call('XACK', KEYS[1], ARGV[1], held[1])
  end
  limit = limit - 1
end

local function take_from(consumer)
  if limit <= 0 then return end
  local command = {'XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', limit, consumer}
  for _, held in ipairs(redis.call(unpack(command))) do take(held) end
end

local holders, is_any_paused = {}, false
for _, holder in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1])[4] or {}) do
  if source_kept_by(holder[1]) then is_any_paused = true else holders[#holders + 1] = holder[1] end
end
if ARGV[10] then
  take_from(ARGV[10])
elseif is_any_paused then
  -- By consumer: without one, Redis would look at all entries of paused sources first.
  for _, consumer in ipairs(holders) do take_from(consumer) end
else
  take_from(nil)
end
return out
