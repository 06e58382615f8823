#!lua name=copydesk

-- Appends documents once, however often a producer that lost the answer asks: the ids are kept under the producer's token.
-- A stored function, so that an ACL can allow it by name and neither scripts nor anything else (`+fcall|copydesk_submit`).
-- KEYS: token. ARGV: lane, seconds for which the token is kept, then for each document: how many parts, name, value, …
-- The lane is an argument, not a key: as a key it would ask for the right to read it. XADD checks the right to append.
-- Returns the ids, separated by blanks.
local function submit(keys, args)
  local known = redis.call('GET', keys[1])
  if known then return known end
  -- Checked before anything is added: what fails half-way would be added again with each retry.
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
