#!lua flags=allow-oom
-- Adds an entry again under a new id, because another document was stored under its id before the server lost its data.
-- KEYS: stream, outcome counters (hash), sizes of its oversized entries (hash), original ids of added entries (hash),
-- ids by which entries are ordered (hash).
-- ARGV: group, id, expiry of the original ids in seconds.
-- Returns the new id, or false when the entry is gone. The old entry gives back the memory that the new one takes.
local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if not entry then return false end
local fresh = redis.call('XADD', KEYS[1], '*', unpack(fitting(entry[2])))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.pcall('HDEL', KEYS[5], ARGV[2]) -- its version is ordered by its new id
redis.pcall('HINCRBY', KEYS[2], 'readded', 1)
redis.call('HSET', KEYS[4], fresh, original_id(KEYS[4], ARGV[2]))
redis.call('EXPIRE', KEYS[4], ARGV[3])
return fresh
