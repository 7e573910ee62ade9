-- What every script of the witness begins with: reading what stands there.
--
-- The witness of a database is a hash. cluster: where the database was accepted last, its cluster
-- and timeline. channel:slot: how many texts that connection has marked, as far as it was told.
-- Each value is `VALUE:SIGNATURE`; whoever reads them for people checks the signatures.

local MOST_OCTETS = $MOST_OCTETS

local function plain(text) return string.match(text, '^[^:]*') end
local function system_of(cluster) return string.match(cluster, '^(.*)/') or '' end
local function number(text) return tonumber(plain(text)) or -1 end
local function short(text) return string.sub(text, 1, MOST_OCTETS) end

-- Whether `kept` is another cluster than `told`, and not an earlier timeline of the same.
local function another(kept, told)
  local k, t = plain(kept), plain(told)
  return k ~= t and (system_of(k) ~= system_of(t) or k > t)
end

local function only_a_hash(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
end

-- Keeps what a connection tells, before it writes. Returns nil; or why it must not write, and what
-- stands against it: `other`, a cluster that is not before its own, or `behind`, a higher count.
local function tell(key, cluster, field, count)
  only_a_hash(key)
  local kept = redis.call('HGET', key, 'cluster')
  if kept and another(kept, cluster) then return 'other', short(kept) end
  local was = redis.call('HGET', key, field)
  if was and number(was) > number(count) then return 'behind', short(was) end
  if kept ~= cluster then redis.call('HSET', key, 'cluster', cluster) end
  if was ~= count then redis.call('HSET', key, field, count) end
  return nil
end
