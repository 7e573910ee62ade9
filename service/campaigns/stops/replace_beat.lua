-- Puts a beat in the place of the one that was read.
--
-- KEYS[1]: where it stands. ARGV[1]: what was read there; empty: no beat of ours. ARGV[2]: the new.
--
-- Several schedulers write beats at the same time, and a later write may have a lower number. So a
-- beat is replaced only by a scheduler that has read it; any scheduler replaces a value of another form.

local kind = redis.call('TYPE', KEYS[1]).ok
if ARGV[1] == '' or kind ~= 'string' or redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
end
