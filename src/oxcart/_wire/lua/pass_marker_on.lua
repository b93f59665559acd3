-- Puts a wake-up token back that this worker cannot use (wire format, section 5), if there are jobs that
-- another worker could look for: a queue that was obliterated meanwhile stays gone. Replies: 1 or 0.
local wait_key = KEYS[1] -- list
local prioritized_key = KEYS[2] -- sorted set
local delayed_key = KEYS[3] -- sorted set
local marker_key = KEYS[4] -- sorted set
if redis.call('EXISTS', wait_key, prioritized_key, delayed_key) == 0 then
  return 0
end
redis.call('ZADD', marker_key, 0, '0')
return 1
