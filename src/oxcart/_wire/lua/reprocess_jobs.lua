-- Puts a batch of jobs of a state back to wait, lowest score first, whatever their priority (wire
-- format, sections 7.8 and 7.14). Ids without a readable job leave the set.
-- Replies: {how many were put back, 1 if the batch was full}. Events: waiting (prev state).
local base_key = KEYS[1] -- start of every key of the queue
local state = ARGV[1] -- completed, failed or delayed
local count = ARGV[2] -- size of a batch
local most = ARGV[3] -- only scores up to this one: ms of the end, or of the due time * 4096

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/put_back"

local RESULT_FIELDS = { failed = 'failedReason', completed = 'returnvalue' }

local keys = queue_keys(base_key)
local job_ids = redis.call('ZRANGEBYSCORE', keys[state], 0, most, 'LIMIT', 0, count)
if #job_ids == 0 then
  return { 0, 0 }
end
local length = max_events(keys.meta)
local present = {}
for _, job_id in ipairs(job_ids) do
  local job_key = base_key .. job_id
  if is_job(job_key) then
    if RESULT_FIELDS[state] then
      redis.call('HDEL', job_key, 'finishedOn', 'processedOn', 'defa', 'ox:unknown',
        RESULT_FIELDS[state])
      put_child_back(job_key, state)
    end
    emit_trimmed(keys.events, length, 'waiting', 'jobId', job_id, 'prev', state)
    present[#present + 1] = job_id
  end
end
redis.call('ZREM', keys[state], unpack(job_ids))
if #present > 0 then
  redis.call('LPUSH', keys.wait, unpack(present))
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end
return { #present, #job_ids == tonumber(count) and 1 or 0 }
