#!lua flags=allow-oom
-- Finds entries by their key, or by a URL that is the value of a field at the margin of their front matter. Reads from the
-- newest entry to older ones, one at a time, because an entry may be large, and ends after some entries or bytes.
-- KEYS: stream. ARGV: where to begin ('+', or '(' and an id), limit of entries, limit of bytes, the URL or '', key, key, …
-- Returns {where to continue or '', entries read, bytes read, id, …}.
local out, bytes, entries, keys = {'', 0, 0}, 0, 0, {}
for n = 5, #ARGV do keys[ARGV[n]] = true end

-- Whether the URL is in a line `name: URL`, perhaps with quotes, that begins with a letter.
local function has_url(raw)
  local url, finish, at = ARGV[4], string.find(raw, '\n---', 4, true) or 0, 1
  if url == '' then return false end
  for _ = 1, 20 do
    local first, last = string.find(raw, url, at, true)
    if not first or first > finish then return false end
    local before = string.sub(raw, math.max(1, first - 100), first - 1)
    before = string.match(before, '.*\n(.*)') or before
    if string.find(before, '^%a[%w_-]*:%s*["\']?$') and string.find(raw, '^["\']?%s*\n', last + 1) then return true end
    at = last + 1
  end
  return false
end

local from = ARGV[1]
while true do
  local entry = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', 1)[1]
  if not entry then break end
  if entries >= tonumber(ARGV[2]) or bytes >= tonumber(ARGV[3]) then
    out[1] = from
    break
  end
  from, entries, bytes = '(' .. entry[1], entries + 1, bytes + bytes_of(entry[2])
  local key, raw
  for n = 1, #entry[2], 2 do
    if entry[2][n] == 'key' then key = entry[2][n + 1] end
    if entry[2][n] == 'raw' then raw = entry[2][n + 1] end
  end
  if (key and keys[key]) or (raw and has_url(raw)) then out[#out + 1] = entry[1] end
  if raw and #raw > 2 ^ 20 then
    entry, raw = nil, nil
    collectgarbage()
  end
end
out[2], out[3] = entries, bytes
return out
