-- Puts a beat in the place of the one that was read.
--
-- KEYS[1]: where it stands. ARGV[1]: what was read there; empty: no beat of ours. ARGV[2]: the new.
--
-- Several schedulers tell their beats at once, and the last word is not always the highest: one is
-- replaced only by who has read it, and what is none by anybody.

local kind = redis.call('TYPE', KEYS[1]).ok
if ARGV[1] == '' or kind ~= 'string' or redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
end
