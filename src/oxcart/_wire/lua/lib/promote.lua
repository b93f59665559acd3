-- Moves due jobs from delayed to where they are taken from (wire format, section 7.4, step 2).
-- Needs lib/jobs, lib/events, lib/ready and lib/delayed.
local PROMOTE_LIMIT = 1000

-- Ids without a readable job leave the queue; they are added to `dropped`.
local function promote_due(keys, now_ms, dropped)
  local due = redis.call('ZRANGEBYSCORE', keys.delayed, 0, (now_ms + 1) * SEQUENCE - 1,
    'LIMIT', 0, PROMOTE_LIMIT)
  if #due == 0 then
    return
  end
  redis.call('ZREM', keys.delayed, unpack(due))
  for _, job_id in ipairs(due) do
    local job_key = keys.base .. job_id -- ids come from the set: their keys cannot be declared
    if is_job(job_key) then
      push_ready(keys.wait, keys.prioritized, keys.counter, job_id, priority_of(job_key), 'LPUSH')
      emit(keys.events, 'waiting', 'jobId', job_id, 'prev', 'delayed')
      redis.call('HSET', job_key, 'delay', 0)
    else
      dropped[#dropped + 1] = job_id
    end
  end
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end
