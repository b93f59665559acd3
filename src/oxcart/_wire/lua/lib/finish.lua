-- Ends a job for good (wire format, section 7.5). Needs lib/text, lib/jobs, lib/events, lib/lock,
-- lib/ties, lib/child_failed, lib/delete, lib/requeue, lib/retention and lib/complete.

-- Takes a job that is there out of the active list; 0 once it is ours.
local function let_go(keys, run, extra)
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

-- The part that every move shares.
local function leave_active(keys, run, extra)
  return is_job(run.key) and let_go(keys, run, extra) or JOB_MISSING
end

-- What a failed attempt leaves with its job.
local function failure_fields(run)
  return { 'failedReason', run.value, 'stacktrace', run.trace }
end

-- Keeps or removes a finished job. A set is pruned once for all runs in a row that ask for the same.
local function settle(keys, run, ties, set_key, field, prunes, now)
  if run.keep_count == 0 then
    if ties.parent then -- a failed child without a policy is still among the pending ones
      unlink_child(ties.parent, run.key)
    end
    delete_jobs(keys.base, { run.id })
    return
  end
  local pending = prunes[set_key]
  if pending and not asks_the_same(pending, run) then
    prune(set_key, keys, pending, now)
  end
  redis.call('ZADD', set_key, now, run.id)
  redis.call('HSET', run.key, field, run.value, 'finishedOn', int(now))
  prunes[set_key] = run
end

local function complete(keys, run, now, ended)
  local ties, code = ties_of(run)
  code = code == 0 and children_code(run.key) or code
  code = code == 0 and let_go(keys, run, {}) or code
  if code ~= 0 then
    return code
  end
  if ties.dedup then
    end_dedup(keys, ties.dedup, run.id, now)
  end
  if ties.parent then
    child_completed(ties.parent, run.key, run.value, now)
  end
  if ties.has_deferred then -- would fail the job unrun if it were put back
    redis.call('HDEL', run.key, 'defa')
  end
  count_up(run.key, 'atm')
  settle(keys, run, ties, keys.completed, 'returnvalue', ended.prunes, now)
  emit(keys.events, 'completed', 'jobId', run.id, 'returnvalue', run.value, 'prev', 'active')
  ended.completed = ended.completed + 1
  return 0
end

local function fail(keys, run, now, ended)
  local ties, code = ties_of(run)
  code = code == 0 and let_go(keys, run, failure_fields(run)) or code
  if code ~= 0 then
    return code
  end
  if ties.dedup then
    end_dedup(keys, ties.dedup, run.id, now)
  end
  if ties.parent then
    child_failed(ties.parent, run.key, run.value, now)
  end
  local made = count_up(run.key, 'atm')
  redis.call('HDEL', run.key, 'defa', 'ox:unknown')
  settle(keys, run, ties, keys.failed, 'failedReason', ended.prunes, now)
  emit(keys.events, 'failed', 'jobId', run.id, 'failedReason', run.value, 'prev', 'active')
  if made >= run.attempts then
    emit(keys.events, 'retries-exhausted', 'jobId', run.id, 'attemptsMade', int(made))
  end
  ended.failed = ended.failed + 1
  return 0
end
