-- Slows a bucket down after trouble, and gives no token for a while.
--
-- KEYS[1]: the bucket. ARGV[1]: for how many microseconds there is none.
-- Returns: the share of its full pace that is left.

only_hash(KEYS[1])
local until_ = now + tonumber(ARGV[1])
local tat = due(KEYS[1], HOLD_MOST) or 0
local pace = share(KEYS[1])
local slowed = number(KEYS[1], 'slowed', 0, now) or 0

-- Connections that tell of the same trouble slow the account down once.
if now - slowed >= ONE_TROUBLE then
  pace = math.max(SLOWEST, pace * SLOWER)
  redis.call('HSET', KEYS[1], 'pace', pace, 'slowed', string.format('%.0f', now))
end

redis.call('HSET', KEYS[1], 'tat', string.format('%.0f', math.max(tat, until_)))
redis.call('EXPIRE', KEYS[1], FORGET_SECONDS)
return tostring(pace)
