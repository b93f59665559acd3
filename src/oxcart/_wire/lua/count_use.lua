-- Counts one use of something that may be used so often in a time, as e-mails to one recipient.
-- A use that was counted before counts once. Bounded: at most as many uses are kept as are allowed.
-- Replies: 0 if it is counted, or for how many ms there is no room for another one.
-- Events: none.
local uses_key = KEYS[1] -- sorted set: use -> when it was counted, ms
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local use = ARGV[2] -- the use, as a job's id
local max = ARGV[3] -- how many uses are allowed
local window_ms = ARGV[4] -- in how long a time

--- @include "lib/text"
--- @include "lib/clock"

local now, window = read_clock(given_now), tonumber(window_ms)
redis.call('ZREMRANGEBYSCORE', uses_key, '-inf', int(now - window))
if redis.call('ZSCORE', uses_key, use) then
  return 0
end
if redis.call('ZCARD', uses_key) >= tonumber(max) then
  local oldest = redis.call('ZRANGE', uses_key, 0, 0, 'WITHSCORES')
  return int(math.max(1, tonumber(oldest[2] or now) + window - now))
end
redis.call('ZADD', uses_key, int(now), use)
redis.call('PEXPIRE', uses_key, int(window))
return 0
