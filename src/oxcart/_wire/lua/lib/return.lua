-- Puts a job that was run back into its queue (wire format, sections 7.6 and 7.7).
-- Needs lib/text, lib/jobs, lib/events, lib/ready, lib/delayed, lib/promote, lib/limit, lib/lock,
-- lib/parents and lib/finish.
local NOTHING_TO_WAIT_FOR = 1
local UNKNOWN_MS = 150000 -- jobs that no worker knows are put back more often than this

local function retry(keys, run, now, length, dropped)
  promote_due(keys, now, dropped)
  local code = leave_active(keys, run, failure_fields(run))
  if code == 0 then
    local side = run.lifo and 'RPUSH' or 'LPUSH'
    push_ready(keys.wait, keys.prioritized, keys.counter, run.id, priority_of(run.key), side)
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
    count_up(run.key, 'atm')
    emit_trimmed(keys.events, length, 'waiting', 'jobId', run.id, 'prev', 'active')
  end
  return code
end

-- Run again later. A retry counts an attempt and keeps its reason, a plain move does neither.
local function delay(keys, run, now, length, counts)
  local code = leave_active(keys, run, counts and failure_fields(run) or {})
  if code == 0 then
    local wait = run.until_ms > 0 and math.max(0, run.until_ms - now) or run.delay
    push_delayed(keys.delayed, run.id, now + wait)
    if counts then
      count_up(run.key, 'atm')
    end
    redis.call('HSET', run.key, 'delay', int(wait))
    emit_trimmed(keys.events, length, 'delayed', 'jobId', run.id, 'delay', int(now + wait))
  end
  return code
end

-- A job that the worker cannot run: delayed for another one, with a note of our own.
local function put_back_unknown(keys, run, now, length)
  local code = delay(keys, run, now, length, false)
  if code == 0 then
    redis.call('HSET', run.key, 'ox:unknown', run.value)
    count_up(run.key, 'ox:unrun')
    local unknown_key = keys.base .. 'oxcart:unknown-jobs' -- of the same queue: not declared
    redis.call('ZREMRANGEBYSCORE', unknown_key, 0, now - UNKNOWN_MS)
    redis.call('ZADD', unknown_key, int(now + run.delay), run.id)
    redis.call('PEXPIRE', unknown_key, UNKNOWN_MS)
  end
  return code
end

-- Back to where it is taken from next; no attempt is counted, no error if it had left already.
-- A value means that its handler had not begun: the take counts as no start (ox:unrun).
local function give_back(keys, run, length)
  if not is_job(run.key) then
    return JOB_MISSING
  end
  local code = release_lock(keys.base, keys.stalled, run.id, run.token)
  if code ~= 0 or redis.call('LREM', keys.active, 1, run.id) == 0 then
    return code
  end
  if run.value ~= '' then
    count_up(run.key, 'ox:unrun')
  end
  local priority = priority_of(run.key)
  if priority > 0 then
    redis.call('ZADD', keys.prioritized, priority * PRIORITY_STEP, run.id)
  else
    redis.call('RPUSH', keys.wait, run.id)
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
  end
  emit_trimmed(keys.events, length, 'waiting', 'jobId', run.id, 'prev', 'active')
  return code
end

-- The handler met a rate limit: the queue waits, and the job goes back.
local function give_back_limited(keys, run, length)
  local code = give_back(keys, run, length)
  if code == 0 then
    limit_manually(keys, run.delay)
  end
  return code
end

-- Waits until the children are settled; with none pending the job stays where it is.
local function wait_for_children(keys, run, now)
  if not is_job(run.key) then
    return JOB_MISSING
  end
  if redis.call('EXISTS', run.key .. ':unsuccessful') == 1 then
    return FAILED_CHILDREN
  end
  if not has_pending(run.key) then
    return NOTHING_TO_WAIT_FOR
  end
  local code = leave_active(keys, run, {})
  if code == 0 then
    redis.call('ZADD', keys.children, int(now), run.id)
    emit(keys.events, 'waiting-children', 'jobId', run.id, 'prev', 'active')
  end
  return code
end
