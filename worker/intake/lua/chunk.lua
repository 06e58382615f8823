#!lua flags=allow-oom
-- One piece of a field that is too large to be read whole, for its digest.
-- KEYS: stream. ARGV: id, field, first byte, last byte (from 1).
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return false end
for n = 1, #entry[2], 2 do
  if entry[2][n] == ARGV[2] then return string.sub(entry[2][n + 1], ARGV[3], ARGV[4]) end
end
return false
