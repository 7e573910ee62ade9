-- Takes up to so many requests out of every limit of a caller, or none of them.
--
-- KEYS: the limits. ARGV: how many requests a minute each allows, then how many are wanted.
-- Returns: how many were taken, the server's time in seconds, and for each limit the requests of
-- the minute before and of this one, as they were before.
--
-- Of each key there are two counts, of the present minute and of the one before. Requests are
-- counted only if every limit has room for them.

local WINDOW_SECONDS = $WINDOW_SECONDS
local MOST_COUNTED = $MOST_COUNTED

local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local slot = math.floor(now / WINDOW_SECONDS)
local counts, room = {}, tonumber(ARGV[#KEYS + 1])

-- What is no count of ours is deleted, and counts for nothing.
local function count(key)
  local kind = redis.call('TYPE', key).ok
  local n = kind == 'string' and tonumber(redis.call('GET', key)) or 0
  if kind ~= 'string' and kind ~= 'none' or not (n >= 0 and n <= MOST_COUNTED and n % 1 == 0) then
    redis.call('DEL', key)
    return 0
  end
  return n
end

for i, key in ipairs(KEYS) do
  local current = count(key .. ':' .. slot)
  local before = count(key .. ':' .. slot - 1)
  local used = before * (1 - now / WINDOW_SECONDS + slot) + current
  counts[2 * i - 1], counts[2 * i] = before, current
  room = math.min(room, math.floor(tonumber(ARGV[i]) - used))
end

if room > 0 then
  for i, key in ipairs(KEYS) do
    redis.call('INCRBY', key .. ':' .. slot, room)
    redis.call('EXPIRE', key .. ':' .. slot, 2 * WINDOW_SECONDS)
  end
end

return {room, tostring(now), unpack(counts)}
