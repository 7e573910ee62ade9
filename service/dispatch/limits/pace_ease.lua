-- Lets a bucket begin again at its slowest.
--
-- KEYS[1]: the bucket. Returns: the share of its full pace that it has.

only_hash(KEYS[1])
local pace = math.min(SLOWEST, share(KEYS[1]))
redis.call('HSET', KEYS[1], 'pace', pace, 'slowed', string.format('%.0f', now))
redis.call('EXPIRE', KEYS[1], FORGET_SECONDS)
return tostring(pace)
