#!lua flags=allow-oom
-- Returns the id that the stream generated last. XINFO STREAM also copies the first and the last entry, which may be
-- oversized. A new group that starts at the end knows the id too. KEYS: stream. ARGV: name of a group that nobody uses.
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$')
local last
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local fields = {}
  for n = 1, #group, 2 do fields[group[n]] = group[n + 1] end
  if fields['name'] == ARGV[1] then last = fields['last-delivered-id'] end
end
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
return last
