#!lua flags=allow-oom
-- Raises the highest id by which an entry is ordered, in case the server lost it. KEYS: that id (string). ARGV: an id.
local ms, seq, is_back = read_newest(KEYS[1])
if is_before(string.format('%.0f-%.0f', ms, seq), ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1] .. (is_back and ' back' or '')) end
