-- Puts a finished job back to be run (wire format, sections 7.14 and 8.5).
-- Replies: 0, -1 if the job is gone, -3 if it is not in the state. Event: waiting (prev state).
local base_key = KEYS[1] -- start of every key of the queue
local job_id = ARGV[1] -- id
local state = ARGV[2] -- completed or failed
local resets_attempts = ARGV[3] -- 1: count attempts anew

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/put_back"

local keys = queue_keys(base_key)
local job_key = base_key .. job_id

-- Whether the job was added to the front: then it goes there again.
local function is_lifo()
  local can_read, options = pcall(cjson.decode, redis.call('HGET', job_key, 'opts') or '')
  return can_read and type(options) == 'table' and options.lifo == true
end

if not is_job(job_key) then
  return -1
end
if redis.call('ZREM', keys[state], job_id) == 0 then
  return -3
end
local result_field = state == 'failed' and 'failedReason' or 'returnvalue'
redis.call('HDEL', job_key, 'finishedOn', 'processedOn', 'defa', 'ox:unknown', result_field)
if resets_attempts == '1' then
  redis.call('HDEL', job_key, 'atm', 'ats', 'ox:unrun')
end
local side = is_lifo() and 'RPUSH' or 'LPUSH'
push_ready(keys.wait, keys.prioritized, keys.counter, job_id, priority_of(job_key), side)
wake_unless_blocked(keys.meta, keys.active, keys.marker)
put_child_back(job_key, state)
emit_trimmed(keys.events, max_events(keys.meta), 'waiting', 'jobId', job_id, 'prev', state)
return 0
