-- Ends one run of a job (wire format, sections 7.5 to 7.7).
-- Needs lib/text, lib/events, lib/ready, lib/delayed, lib/promote, lib/remove and lib/lock.
local JOB_MISSING, NOT_IN_STATE = -1, -3

-- The part that every end shares: returns 0 once the job is ours and out of the active list.
local function leave_active(keys, run, extra)
  if redis.call('EXISTS', run.key) == 0 then
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

-- Keeps or removes a finished job; pruning of the set is left to the end of the step.
local function settle(keys, run, set_key, field, prunes, now)
  if run.keep_count == 0 then
    delete_jobs(keys.base, { run.id })
    return
  end
  redis.call('ZADD', set_key, now, run.id)
  redis.call('HSET', run.key, field, run.value, 'finishedOn', int(now))
  prunes[table.concat({ set_key, run.keep_count, run.keep_age, run.keep_limit }, ' ')] =
    { set_key, run.keep_count, run.keep_age, run.keep_limit }
end

local function complete(keys, run, now, prunes)
  local code = leave_active(keys, run, {})
  if code == 0 then
    redis.call('HINCRBY', run.key, 'atm', 1)
    settle(keys, run, keys.completed, 'returnvalue', prunes, now)
    emit(keys.events, 'completed', 'jobId', run.id, 'returnvalue', run.value, 'prev', 'active')
  end
  return code
end

local function fail(keys, run, now, prunes)
  local code = leave_active(keys, run, { 'failedReason', run.value, 'stacktrace', run.trace })
  if code == 0 then
    local made = redis.call('HINCRBY', run.key, 'atm', 1)
    redis.call('HDEL', run.key, 'defa')
    settle(keys, run, keys.failed, 'failedReason', prunes, now)
    emit(keys.events, 'failed', 'jobId', run.id, 'failedReason', run.value, 'prev', 'active')
    if made >= run.attempts then
      emit(keys.events, 'retries-exhausted', 'jobId', run.id, 'attemptsMade', int(made))
    end
  end
  return code
end

local function priority_of(run)
  return tonumber(redis.call('HGET', run.key, 'priority')) or 0
end

local function retry(keys, run, now, length)
  promote_due(keys, now)
  local code = leave_active(keys, run, { 'failedReason', run.value, 'stacktrace', run.trace })
  if code == 0 then
    local side = run.lifo and 'RPUSH' or 'LPUSH'
    push_ready(keys.wait, keys.prioritized, keys.counter, run.id, priority_of(run), side)
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
    redis.call('HINCRBY', run.key, 'atm', 1)
    emit_trimmed(keys.events, length, 'waiting', 'jobId', run.id, 'prev', 'active')
  end
  return code
end

-- Run again later. A retry counts an attempt and keeps its reason, a plain move does neither.
local function delay(keys, run, now, length, counts)
  local extra = counts and { 'failedReason', run.value, 'stacktrace', run.trace } or {}
  local code = leave_active(keys, run, extra)
  if code == 0 then
    local wait = run.until_ms > 0 and math.max(0, run.until_ms - now) or run.delay
    push_delayed(keys.delayed, run.id, now + wait)
    if counts then
      redis.call('HINCRBY', run.key, 'atm', 1)
    end
    redis.call('HSET', run.key, 'delay', int(wait))
    emit_trimmed(keys.events, length, 'delayed', 'jobId', run.id, 'delay', int(now + wait))
  end
  return code
end

-- Back to where it is taken from next; no attempt is counted, no error if it had left already.
local function give_back(keys, run, length)
  if redis.call('EXISTS', run.key) == 0 then
    return JOB_MISSING
  end
  local code = release_lock(keys.base, keys.stalled, run.id, run.token)
  if code ~= 0 or redis.call('LREM', keys.active, 1, run.id) == 0 then
    return code
  end
  local priority = priority_of(run)
  if priority > 0 then
    redis.call('ZADD', keys.prioritized, priority * PRIORITY_STEP, run.id)
  else
    redis.call('RPUSH', keys.wait, run.id)
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
  end
  emit_trimmed(keys.events, length, 'waiting', 'jobId', run.id, 'prev', 'active')
  return code
end
