-- Ends the current rate window, and wakes a worker if jobs wait (wire format, section 7.13).
-- Replies: 1 if there was one, else 0.
local base_key = KEYS[1] -- start of every key of the queue

--- @include "lib/queue"
--- @include "lib/ready"

local keys = queue_keys(base_key)
local removed = redis.call('DEL', keys.limiter)
if removed == 1 and redis.call('EXISTS', keys.wait, keys.prioritized) > 0 then
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end
return removed
