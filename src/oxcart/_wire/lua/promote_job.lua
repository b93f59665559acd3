-- Makes a delayed job ready now (wire format, section 7.8).
-- Replies: 0, -3 if it is not delayed, or -1 if it was and has no hash: then it leaves the queue.
-- Event: waiting (prev delayed).
local job_key = KEYS[1] -- hash
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local prioritized_key = KEYS[4] -- sorted set
local delayed_key = KEYS[5] -- sorted set
local marker_key = KEYS[6] -- sorted set
local meta_key = KEYS[7] -- hash
local counter_key = KEYS[8] -- counter of priorities
local events_key = KEYS[9] -- stream
local job_id = ARGV[1] -- id

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"

if redis.call('ZREM', delayed_key, job_id) == 0 then
  return -3
end
if not is_job(job_key) then
  return -1
end
push_ready(wait_key, prioritized_key, counter_key, job_id, priority_of(job_key), 'LPUSH')
wake_unless_blocked(meta_key, active_key, marker_key)
emit(events_key, 'waiting', 'jobId', job_id, 'prev', 'delayed')
redis.call('HSET', job_key, 'delay', 0)
return 0
