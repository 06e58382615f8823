#!lua flags=allow-oom
-- Records the crash of a process with each entry that it was reading, and frees all its entries for the reaper at once.
-- KEYS: stream, crash reports (hash: id -> one JSON object per line).
-- ARGV: group, the crashed consumer, "dispatched" consumer, lease in ms, limit of ids in the hash, the hash's expiry in
-- seconds, the crash report as JSON.
-- Returns {id, attempts, …} of the entries that the process was reading.
local out = {}
for_each_pending(KEYS[1], ARGV[1], ARGV[2], function(held)
  -- The first delivery is the one to the dispatcher. More than one means that an attempt is counted: the process was
  -- reading the document when it crashed.
  if held[4] > 1 then
    out[#out + 1] = held[1]
    out[#out + 1] = held[4] - 1
    add_crash_report(KEYS[2], held[1], ARGV[7], ARGV[5], ARGV[6])
  end
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, held[1], 'IDLE', ARGV[4], 'RETRYCOUNT', held[4], 'JUSTID')
end)
return out
