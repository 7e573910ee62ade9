-- Gives up the lock of a trial, if it is still the one that was taken.
--
-- KEYS[1]: the lock of the channel. ARGV[1]: the word with which it was taken.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
