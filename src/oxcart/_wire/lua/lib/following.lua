-- Makes the job after a scheduler's pending one (wire format, section 11.3).
-- A repeatable job of BullMQ 5 (its definition has no ic, section 14) gets its name and data from the
-- job that was taken, which alone has them, and its definition is left as it is.
-- Needs lib/text, lib/jobs, lib/events, lib/types, lib/slots and lib/iteration.
local NEXT_MADE, NOT_PENDING, NEXT_EXISTS, NEXT_UNREADABLE = 1, 0, 2, -1

-- The slot of the next job; nil if neither the caller nor the definition says.
local function next_slot(scheduler_key, stored, given, previous, now)
  local every = not given.due and (read_ms(stored[1]) or given.every)
  if given.due or not every or every < 1 then
    return given.due
  elseif not stored[3] then -- of BullMQ 5: counted from the epoch
    local latest = math.max(now, previous)
    return latest - latest % every + every, every
  end
  local offset = read_ms(stored[2]) or 0
  local slot = following_slot(now, every, offset, previous)
  if offset == 0 and slot % every ~= 0 then
    redis.call('HSET', scheduler_key, 'offset', int(slot % every))
  end
  return slot, every
end

-- Makes the job that follows a taken one. given: opts_head (see new_iteration), priority, side, and
-- either due (a pattern's next time) or every (the interval, for a definition that has none).
-- Returns what became of it, and the slot if a job was made.
local function make_following(keys, scheduler_key, scheduler_id, taken_id, given, now)
  if wrong_scheduler(keys, scheduler_key) then
    return NEXT_UNREADABLE
  end
  local previous = read_ms(redis.call('ZSCORE', keys.scheduled, scheduler_id))
  local is_pending = previous and taken_id == iteration_id(scheduler_id, previous)
  if not is_pending or redis.call('EXISTS', scheduler_key) == 0 then
    return NOT_PENDING
  end
  local stored = redis.call('HMGET', scheduler_key, 'every', 'offset', 'ic', 'name', 'data')
  local slot, every = next_slot(scheduler_key, stored, given, previous, now)
  if not slot then
    return NEXT_UNREADABLE
  end
  local next_id = iteration_id(scheduler_id, slot)
  if redis.call('EXISTS', keys.base .. next_id) == 1 then
    emit_trimmed(keys.events, max_events(keys.meta), 'duplicated', 'jobId', next_id)
    return NEXT_EXISTS
  end
  local is_legacy, source = not stored[3], { stored[4], stored[5] }
  if is_legacy then
    source = redis.call('HMGET', keys.base .. taken_id, 'name', 'data')
  else
    count_up(scheduler_key, 'ic')
  end
  schedule_iteration(keys, new_iteration(scheduler_id, slot, now, {
    name = source[1] or '', data = source[2] or '{}', opts_head = given.opts_head,
    is_pattern = is_legacy or not every, priority = given.priority, side = given.side,
  }))
  return NEXT_MADE, slot
end
