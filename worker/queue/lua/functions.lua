#!lua name=copydesk

-- Appends documents once, even if a producer that lost the answer asks again: the ids are kept under the producer's
-- token. It is a stored function so that an ACL can allow it by name (`+fcall|copydesk_submit`) and forbid scripts.
-- KEYS: token. ARGV: lane, the token's expiry in seconds, then for each document: how many parts, name, value, …
-- The lane is an argument, because a key would require the permission to read it. XADD checks the permission to append.
-- Returns the ids, separated by blanks.
local function submit(keys, args)
  local known = redis.call('GET', keys[1])
  if known then return known end
  -- Check all before adding any: if the call failed half-way, each retry would add the first documents again.
  local ids, at = {}, 3
  while at <= #args do
    local parts = tonumber(args[at])
    if not parts or parts % 2 ~= 0 or parts < 2 or parts > 4000 or at + parts > #args then
      return redis.error_reply('ERR a document has 1 to 2,000 fields, each with a value')
    end
    at = at + parts + 1
  end
  at = 3
  while at <= #args do
    local parts = tonumber(args[at])
    ids[#ids + 1] = redis.call('XADD', args[1], '*', unpack(args, at + 1, at + parts))
    at = at + parts + 1
  end
  local joined = table.concat(ids, ' ')
  redis.call('SET', keys[1], joined, 'EX', args[2])
  return joined
end

redis.register_function('copydesk_submit', submit)
