-- Giving back a job whose worker is gone (wire format, section 7.11).
-- Needs lib/jobs, lib/events and lib/ready.
local STALLED_TOO_OFTEN = 'job stalled more than allowable limit'

local function has_living_scheduler(keys, job_key)
  local scheduler = redis.call('HGET', job_key, 'rjk')
  return scheduler and (redis.call('ZSCORE', keys.repeats, scheduler)
    or redis.call('EXISTS', keys.repeats .. ':' .. scheduler) == 1) -- the scheduler's own key
end

-- Takes a job out of active and back to wait; whether there was one to give back.
-- One that was recovered too often is failed by whoever takes it next.
local function recover(keys, job_id, max_stalled)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  if redis.call('LREM', keys.active, 1, job_id) == 0 or not is_job(job_key) then
    return false -- without a hash it just leaves the list
  end
  local stalled = count_up(job_key, 'stc')
  if stalled > tonumber(max_stalled) and not has_living_scheduler(keys, job_key) then
    redis.call('HSET', job_key, 'defa', STALLED_TOO_OFTEN)
  end
  redis.call('RPUSH', keys.wait, job_id)
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
  emit(keys.events, 'waiting', 'jobId', job_id, 'prev', 'active')
  emit(keys.events, 'stalled', 'jobId', job_id)
  return true
end
