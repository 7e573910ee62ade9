-- Reads all that stands there; and moves the cluster forward, if one is given.
--
-- KEYS[1]: the witness. ARGV[1]: the cluster that is to be accepted, or empty. From then on nobody
-- writes what was marked on an earlier timeline, so that what is read is all that ever will be told.

only_a_hash(KEYS[1])
if redis.call('HLEN', KEYS[1]) > $MOST_FIELDS then redis.call('DEL', KEYS[1]) end
local kept = redis.call('HGET', KEYS[1], 'cluster')
if ARGV[1] ~= '' and not (kept and another(kept, ARGV[1])) then
  redis.call('HSET', KEYS[1], 'cluster', ARGV[1])
end
local all = redis.call('HGETALL', KEYS[1])
for at, text in ipairs(all) do all[at] = short(text) end
return all
