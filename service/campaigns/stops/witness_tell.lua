-- Tells all counts that the database has, so that the witness is whole again after it was emptied.
--
-- KEYS[1]: the witness. ARGV[1]: where the database is; then of each connection its field and count.

only_a_hash(KEYS[1])
local kept = redis.call('HGET', KEYS[1], 'cluster')
if not (kept and another(kept, ARGV[1])) then redis.call('HSET', KEYS[1], 'cluster', ARGV[1]) end
for at = 2, #ARGV, 2 do
  local was = redis.call('HGET', KEYS[1], ARGV[at])
  if not was or number(was) < number(ARGV[at + 1]) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
