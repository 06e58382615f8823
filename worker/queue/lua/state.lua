#!lua flags=allow-oom
-- Returns a lane's state at one moment, without the payload of its first and last entry, which XINFO STREAM contains.
-- KEYS: stream, outcome counters (hash), entries that an interrupted repair must still add again (stream). ARGV: group.
-- Returns {entries ever added, backlog, pending, last id, oldest id or false, {outcome, count, …}, entries set aside}.
local info, stream = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for n = 1, #info, 2 do stream[info[n]] = info[n + 1] end
local first = stream['first-entry']
return {stream['entries-added'], stream['length'], redis.call('XPENDING', KEYS[1], ARGV[1])[1], stream['last-generated-id'],
        first and first[1], redis.call('HGETALL', KEYS[2]), redis.call('XLEN', KEYS[3])}
