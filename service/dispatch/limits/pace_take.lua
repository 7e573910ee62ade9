-- Takes tokens from all buckets at once: from each as many as the poorest has.
--
-- KEYS: the buckets. ARGV[1]: how many tokens are wanted; ARGV[2]: fewer than these are none, but
-- where a burst is smaller; then of each bucket the microseconds between tokens and the burst.
-- Returns: how many were taken; the microseconds until there are enough again; what was deleted.

local n = tonumber(ARGV[1])
local least = tonumber(ARGV[2])
local wait = 0
local tats, ivs = {}, {}

for i, key in ipairs(KEYS) do
  only_hash(key)
  local iv = tonumber(ARGV[2 * i + 1]) / share(key)
  local burst = tonumber(ARGV[2 * i + 2])
  local tat = due(key, burst * iv) or (now + burst * iv)
  if tat < now then tat = now end
  tats[i], ivs[i] = tat, iv
  local free = math.floor(burst - (tat - now) / iv)
  local floor = math.min(least, burst)
  if free < floor then
    wait = math.max(wait, (tat - now) - (burst - floor) * iv)
    free = 0
  end
  n = math.min(n, free)
end

if n < 0 then n = 0 end

for i, key in ipairs(KEYS) do
  local tat = tats[i] + n * ivs[i]
  redis.call('HSET', key, 'tat', string.format('%.0f', tat))
  redis.call('EXPIRE', key, FORGET_SECONDS)
  if n > 0 then
    local burst = tonumber(ARGV[2 * i + 2])
    wait = math.max(wait, (tat - now) - (burst - math.min(least, burst)) * ivs[i])
  end
end

return {n, wait, absurd}
