-- Changes a job's priority, and its place if it is ready (wire format, section 7.9). No event.
-- Replies: 0, or -1 if the job is gone.
local base_key = KEYS[1] -- start of every key of the queue
local job_id = ARGV[1] -- id
local priority = ARGV[2] -- the new one
local is_lifo = ARGV[3] -- 1: before the others of this priority

--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/ready"

local keys = queue_keys(base_key)
local job_key = base_key .. job_id
local level = tonumber(priority)

local function place_anew()
  if level > 0 and is_lifo == '1' then
    redis.call('ZADD', keys.prioritized, level * PRIORITY_STEP, job_id)
    return
  end
  local side = is_lifo == '1' and 'RPUSH' or 'LPUSH'
  push_ready(keys.wait, keys.prioritized, keys.counter, job_id, level, side)
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end

if not is_job(job_key) then
  return -1
end
if redis.call('ZREM', keys.prioritized, job_id) == 1 or redis.call('LREM', keys.wait, -1, job_id) > 0 then
  place_anew()
end
redis.call('HSET', job_key, 'priority', priority)
return 0
