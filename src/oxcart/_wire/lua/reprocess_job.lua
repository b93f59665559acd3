-- Puts a finished job back to be run (wire format, section 7.14).
-- Replies: 0, -1 if the job is gone, -3 if it is not in the state. Event: waiting (prev state).
local job_key = KEYS[1] -- hash
local set_key = KEYS[2] -- sorted set: completed or failed
local wait_key = KEYS[3] -- list
local active_key = KEYS[4] -- list
local prioritized_key = KEYS[5] -- sorted set
local marker_key = KEYS[6] -- sorted set
local meta_key = KEYS[7] -- hash
local counter_key = KEYS[8] -- counter of priorities
local events_key = KEYS[9] -- stream
local job_id = ARGV[1] -- id
local state = ARGV[2] -- completed or failed
local resets_attempts = ARGV[3] -- 1: count attempts anew

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"

-- Whether the job was added to the front: then it goes there again.
local function is_lifo()
  local can_read, options = pcall(cjson.decode, redis.call('HGET', job_key, 'opts') or '')
  return can_read and type(options) == 'table' and options.lifo == true
end

if not is_job(job_key) then
  return -1
end
if redis.call('ZREM', set_key, job_id) == 0 then
  return -3
end
local result_field = state == 'failed' and 'failedReason' or 'returnvalue'
redis.call('HDEL', job_key, 'finishedOn', 'processedOn', result_field)
if resets_attempts == '1' then
  redis.call('HDEL', job_key, 'atm', 'ats')
end
local side = is_lifo() and 'RPUSH' or 'LPUSH'
push_ready(wait_key, prioritized_key, counter_key, job_id, priority_of(job_key), side)
wake_unless_blocked(meta_key, active_key, marker_key)
emit_trimmed(events_key, max_events(meta_key), 'waiting', 'jobId', job_id, 'prev', state)
return 0
