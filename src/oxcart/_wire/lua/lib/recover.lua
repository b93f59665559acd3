-- Giving back a job whose worker is gone (wire format, section 7.11).
-- Needs lib/jobs, lib/events and lib/ready.
-- A recovery counts towards the limit (stc) only if the job was the only one that its worker ran. With
-- others beside it the job may have done nothing wrong: it is marked (ox:alone), so that the next worker
-- runs it alone, and how often that happened is counted by itself (ox:lost), so that it has an end.
local STALLED_TOO_OFTEN = 'job stalled more than allowable limit'
local MOST_LOST = 10

-- Whether a job is the pending one of a scheduler: its successor is made when it is run, so that failing
-- it before would end the schedule.
local function is_pending_iteration(keys, job_id)
  local scheduler = redis.call('HGET', keys.base .. job_id, 'rjk')
  local due = scheduler and redis.call('ZSCORE', keys.repeats, scheduler)
  return due and job_id == 'repeat:' .. scheduler .. ':' .. string.format('%.0f', tonumber(due))
end

-- Has a job failed when it is next taken; whether that may be.
local function fail_next(keys, job_id, reason)
  if is_pending_iteration(keys, job_id) then
    return false
  end
  redis.call('HSET', keys.base .. job_id, 'defa', reason)
  return true
end

-- How many deaths a job is forgiven: max_stalled, or with -1 the attempts that it has left but one.
local function most_deaths(job_key, max_stalled)
  if max_stalled ~= '-1' then
    return tonumber(max_stalled)
  end
  local found = redis.call('HMGET', job_key, 'opts', 'atm')
  local is_read, options = pcall(cjson.decode, found[1] or '')
  local attempts = is_read and type(options) == 'table' and tonumber(options.attempts) or 1
  return attempts - (tonumber(found[2]) or 0) - 1
end

-- Counts a job's recovery; whether the limit is exceeded: then the job is failed when it is next taken.
-- How it ran: 'alone'; 'beside' others; 'apart' from a worker that lives and has lost its lock; or 'not'
-- since it was recovered before, which counts nothing and leaves it to be run alone.
local function count_recovery(keys, job_id, max_stalled, how, reason)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  if how == 'alone' then
    local times = count_up(job_key, 'stc')
    if reason then -- its process is known to have died: it had better run alone again
      redis.call('HSET', job_key, 'ox:alone', '1')
    end
    return times > most_deaths(job_key, max_stalled)
      and fail_next(keys, job_id, reason and string.format(reason, times) or STALLED_TOO_OFTEN)
  end
  if how == 'not' then
    redis.call('HSET', job_key, 'ox:alone', '1')
    return false
  end
  local times = count_up(job_key, 'ox:lost')
  if times > MOST_LOST then
    return fail_next(keys, job_id, STALLED_TOO_OFTEN .. ': its worker was lost ' .. times
      .. ' times while it ran beside other jobs')
  end
  if how == 'beside' or times > 1 then -- one that stops every thread of its worker takes others along
    redis.call('HSET', job_key, 'ox:alone', '1')
  end
  return false
end

-- Puts a job that has left active where it is taken from next.
local function put_next(keys, job_id)
  redis.call('RPUSH', keys.wait, job_id)
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
end

local function emit_stalled(keys, job_id)
  emit(keys.events, 'waiting', 'jobId', job_id, 'prev', 'active')
  emit(keys.events, 'stalled', 'jobId', job_id)
end

-- Takes a job out of active and back to wait; whether there was one to give back.
local function recover(keys, job_id, max_stalled, how, reason)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  if redis.call('LREM', keys.active, 1, job_id) == 0 or not is_job(job_key) then
    return false -- without a hash it just leaves the list
  end
  count_recovery(keys, job_id, max_stalled, how, reason)
  put_next(keys, job_id)
  emit_stalled(keys, job_id)
  return true
end
