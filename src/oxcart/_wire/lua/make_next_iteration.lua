-- Makes the job after a scheduler's job that was taken (wire format, section 11.3).
-- Only the pending job has one: taken again, after a retry or from a dead worker, it changes
-- nothing. A repeatable job of BullMQ 5 (its definition has no ic, section 14) gets its name and data
-- from the job that was taken, for nobody else has them, and its definition is left as it is.
-- Replies: {1, due ms} made; {0} not the pending job, or its scheduler is gone; {2} there already;
--   {-1} the definition cannot be read.
-- Events: added, then waiting or delayed; or duplicated.
local base_key = KEYS[1] -- start of every key of the queue
local scheduler_key = KEYS[2] -- hash: the definition
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local scheduler_id = ARGV[2] -- id
local taken_id = ARGV[3] -- the job that was taken
local given_every = ARGV[4] -- ms between two jobs, as the job says; empty: a pattern
local given_due = ARGV[5] -- the pattern's next time; empty: an interval
local opts_head = ARGV[6] -- the next job's options, JSON, up to the time in its id
local priority = ARGV[7] -- the next job's
local lifo = ARGV[8] -- 1: run next

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/create"
--- @include "lib/slots"
--- @include "lib/iteration"

local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
if wrong_scheduler(keys, scheduler_key) then
  return { -1 }
end
local previous = read_ms(redis.call('ZSCORE', keys.scheduled, scheduler_id))
local is_pending = previous and taken_id == iteration_id(scheduler_id, previous)
if not is_pending or redis.call('EXISTS', scheduler_key) == 0 then
  return { 0 }
end
local now = read_clock(given_now)
local stored = redis.call('HMGET', scheduler_key, 'every', 'offset', 'ic', 'name', 'data')
local is_legacy = not stored[3]
local due = read_ms(given_due)
local every = not due and (read_ms(stored[1]) or read_ms(given_every))

-- The slot of the next job; nil if the definition does not say.
local function choose_slot()
  if due or not every or every < 1 then
    return due
  elseif is_legacy then -- counted from the epoch
    local latest = math.max(now, previous)
    return latest - latest % every + every
  end
  local offset = read_ms(stored[2]) or 0
  local slot = following_slot(now, every, offset, previous)
  if offset == 0 and slot % every ~= 0 then
    redis.call('HSET', scheduler_key, 'offset', int(slot % every))
  end
  return slot
end

local slot = choose_slot()
if not slot then
  return { -1 }
end
local next_id = iteration_id(scheduler_id, slot)
if redis.call('EXISTS', base_key .. next_id) == 1 then
  emit_trimmed(keys.events, max_events(keys.meta), 'duplicated', 'jobId', next_id)
  return { 2 }
end
local source = { stored[4], stored[5] }
if is_legacy then
  source = redis.call('HMGET', base_key .. taken_id, 'name', 'data')
else
  count_up(scheduler_key, 'ic')
end
schedule_iteration(keys, new_iteration(scheduler_id, slot, now, {
  name = source[1] or '', data = source[2] or '{}', opts_head = opts_head,
  is_pattern = is_legacy or not every, priority = tonumber(priority),
  side = lifo == '1' and 'RPUSH' or 'LPUSH',
}))
return { 1, int(slot) }
