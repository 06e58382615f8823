#!lua flags=allow-oom
-- Counts an attempt for entries that this worker holds already: the part that a document can be guilty of begins again.
-- KEYS: stream. ARGV: group, consumer, id, its earlier deaths, id, …
for i = 3, #ARGV, 2 do
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if held and held[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', 0, 'RETRYCOUNT', ARGV[i + 1] + 2, 'JUSTID')
  end
end
return true
