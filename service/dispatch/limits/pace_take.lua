-- Takes tokens from all buckets at once: from each as many as the poorest has.
--
-- KEYS[1]: the witness of marks; the others: the buckets. ARGV[1]: how many tokens are wanted;
-- ARGV[2]: fewer than these are none, but where a burst is smaller; ARGV[3] to [5]: the cluster,
-- field and count that are told, or empty; then of each bucket the microseconds between tokens and
-- the burst.
-- Returns: how many were taken; the microseconds until there are enough again; what was deleted; and
-- where what is told is outdated, and nothing is taken, why and what stands against it.

local n = tonumber(ARGV[1])
local least = tonumber(ARGV[2])
if ARGV[3] ~= '' then
  local why, kept = tell(KEYS[1], ARGV[3], ARGV[4], ARGV[5])
  if why then return {0, 0, absurd, why, kept} end
end

local wait = 0
local tats, ivs = {}, {}

for i = 2, #KEYS do
  local key = KEYS[i]
  only_hash(key)
  local iv = tonumber(ARGV[2 * i + 2]) / share(key)
  local burst = tonumber(ARGV[2 * i + 3])
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

for i = 2, #KEYS do
  local key = KEYS[i]
  local tat = tats[i] + n * ivs[i]
  redis.call('HSET', key, 'tat', string.format('%.0f', tat))
  redis.call('EXPIRE', key, FORGET_SECONDS)
  if n > 0 then
    local burst = tonumber(ARGV[2 * i + 3])
    wait = math.max(wait, (tat - now) - (burst - math.min(least, burst)) * ivs[i])
  end
end

return {n, wait, absurd}
