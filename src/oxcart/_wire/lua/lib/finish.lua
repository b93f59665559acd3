-- Ends a job for good (wire format, section 7.5). Needs lib/text, lib/jobs, lib/events, lib/lock,
-- lib/remove and lib/retention.
local JOB_MISSING, NOT_IN_STATE = -1, -3

-- The part that every end shares: returns 0 once the job is ours and out of the active list.
local function leave_active(keys, run, extra)
  if not is_job(run.key) then
    return JOB_MISSING
  end
  local code = release_lock(keys.base, keys.stalled, run.id, run.token)
  if code ~= 0 then
    return code
  end
  if #extra > 0 then
    redis.call('HSET', run.key, unpack(extra))
  end
  if redis.call('LREM', keys.active, -1, run.id) == 0 then
    return NOT_IN_STATE
  end
  return 0
end

-- What a failed attempt leaves with its job.
local function failure_fields(run)
  return { 'failedReason', run.value, 'stacktrace', run.trace }
end

-- Keeps or removes a finished job. A set is pruned once for all runs in a row that ask for the same.
local function settle(keys, run, set_key, field, prunes, now)
  if run.keep_count == 0 then
    delete_jobs(keys.base, { run.id })
    return
  end
  local pending = prunes[set_key]
  if pending and not asks_the_same(pending, run) then
    prune(set_key, keys.base, pending, now)
  end
  redis.call('ZADD', set_key, now, run.id)
  redis.call('HSET', run.key, field, run.value, 'finishedOn', int(now))
  prunes[set_key] = run
end

local function complete(keys, run, now, prunes)
  local code = leave_active(keys, run, {})
  if code == 0 then
    count_up(run.key, 'atm')
    settle(keys, run, keys.completed, 'returnvalue', prunes, now)
    emit(keys.events, 'completed', 'jobId', run.id, 'returnvalue', run.value, 'prev', 'active')
  end
  return code
end

local function fail(keys, run, now, prunes)
  local code = leave_active(keys, run, failure_fields(run))
  if code == 0 then
    local made = count_up(run.key, 'atm')
    redis.call('HDEL', run.key, 'defa')
    settle(keys, run, keys.failed, 'failedReason', prunes, now)
    emit(keys.events, 'failed', 'jobId', run.id, 'failedReason', run.value, 'prev', 'active')
    if made >= run.attempts then
      emit(keys.events, 'retries-exhausted', 'jobId', run.id, 'attemptsMade', int(made))
    end
  end
  return code
end
