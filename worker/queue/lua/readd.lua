-- Adds an entry again under a fresh id: another document was stored under this one before the server lost its data.
-- KEYS: stream, outcome counters (hash), sizes of its giants (hash), first ids of what was added again (hash).
-- ARGV: group, id, seconds for which the first ids are kept.
-- Returns the fresh id, or false when the entry is gone.
local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if not entry then return false end
local fresh = redis.call('XADD', KEYS[1], '*', unpack(fitting(entry[2])))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'readded', 1)
redis.call('HSET', KEYS[4], fresh, redis.call('HGET', KEYS[4], ARGV[2]) or ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[3])
return fresh
