-- What every script of the pace begins with: the time, and the reading of a bucket.
--
-- A bucket is a hash. tat: when its next token is due, in microseconds. pace: the share of the full
-- pace that was left at the instant `slowed`. What no script of ours can have written is deleted and
-- counted in `absurd`.

local HOLD_MOST = $HOLD_MOST -- microseconds
local FORGET_SECONDS = $FORGET_SECONDS
local FORGET = FORGET_SECONDS * 1000000
local SLOWER, SLOWEST = $SLOWER, $SLOWEST
local CLIMB, CLIMB_EVERY = $CLIMB, $CLIMB_EVERY -- a share of the full pace, microseconds
local ONE_TROUBLE = $ONE_TROUBLE -- microseconds

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local absurd = 0

local function number(key, field, least, most)
  local text = redis.call('HGET', key, field)
  if not text then return nil end
  local n = tonumber(text)
  if n and n >= least and n <= most then return n end
  absurd = absurd + 1
  redis.call('HDEL', key, field)
  return nil
end

local function only_hash(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then
    absurd = absurd + 1
    redis.call('DEL', key)
  end
end

-- No token is due later than a whole burst and the longest pause from now.
local function due(key, burst_time)
  return number(key, 'tat', now - FORGET, now + burst_time + HOLD_MOST)
end

-- The share of its full pace that a bucket has now: it climbs back by steps.
local function share(key)
  local pace = number(key, 'pace', SLOWEST, 1)
  local slowed = number(key, 'slowed', now - FORGET, now)
  if not pace or not slowed then return 1 end
  return math.min(1, pace + CLIMB * math.floor((now - slowed) / CLIMB_EVERY))
end
