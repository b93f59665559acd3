-- Puts a batch of finished jobs back to wait, oldest first (wire format, section 7.14).
-- Ids without a readable job leave the set.
-- Replies: {how many were put back, 1 if the batch was full}. Events: waiting (prev state).
local base_key = KEYS[1] -- start of every job's key
local set_key = KEYS[2] -- sorted set: completed or failed
local wait_key = KEYS[3] -- list
local active_key = KEYS[4] -- list
local marker_key = KEYS[5] -- sorted set
local meta_key = KEYS[6] -- hash
local events_key = KEYS[7] -- stream
local state = ARGV[1] -- completed or failed
local count = ARGV[2] -- size of a batch
local finished_until = ARGV[3] -- ms: only jobs finished by then

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"

local job_ids = redis.call('ZRANGEBYSCORE', set_key, 0, finished_until, 'LIMIT', 0, count)
if #job_ids == 0 then
  return { 0, 0 }
end
local length = max_events(meta_key)
local result_field = state == 'failed' and 'failedReason' or 'returnvalue'
local present = {}
for _, job_id in ipairs(job_ids) do
  local job_key = base_key .. job_id -- the id comes from the set
  if is_job(job_key) then
    redis.call('HDEL', job_key, 'finishedOn', 'processedOn', result_field)
    emit_trimmed(events_key, length, 'waiting', 'jobId', job_id, 'prev', state)
    present[#present + 1] = job_id
  end
end
redis.call('ZREM', set_key, unpack(job_ids))
if #present > 0 then
  redis.call('LPUSH', wait_key, unpack(present))
  wake_unless_blocked(meta_key, active_key, marker_key)
end
return { #present, #job_ids == tonumber(count) and 1 or 0 }
