-- Sets or clears the queue's limits in its meta hash, and wakes a worker if jobs may now be taken
-- (wire format, sections 2.3 and 7.13). Replies: how many of the fields were set before.
local base_key = KEYS[1] -- start of every key of the queue
local argv = ARGV -- from 1 on: field, value (empty: clear the field)

--- @include "lib/queue"
--- @include "lib/ready"

local keys = queue_keys(base_key)
local set_before = 0
for at = 1, #argv, 2 do
  set_before = set_before + redis.call('HEXISTS', keys.meta, argv[at])
  if argv[at + 1] == '' then
    redis.call('HDEL', keys.meta, argv[at])
  else
    redis.call('HSET', keys.meta, argv[at], argv[at + 1])
  end
end
if redis.call('EXISTS', keys.wait, keys.prioritized) > 0 then
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end
return set_before
