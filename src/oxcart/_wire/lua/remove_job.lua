-- Removes a job wherever it is (wire format, section 7.15).
-- Replies: 1 removed (or never there), 0 a worker runs it, -8 a scheduler's pending job.
-- Event: removed (prev state).
local job_key = KEYS[1] -- hash
local lock_key = KEYS[2] -- string
local base_key = KEYS[3] -- start of every job's key
local repeat_key = KEYS[4] -- sorted set of schedulers
local meta_key = KEYS[5] -- hash
local events_key = KEYS[6] -- stream
local job_id = ARGV[1] -- id

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/remove"

local SETS = { 'completed', 'waiting-children', 'delayed', 'failed', 'prioritized' }
local LISTS = { 'wait', 'paused', 'active' }

-- Takes the id out of the state that holds it; returns the state's name in events.
local function leave_state()
  for _, suffix in ipairs(SETS) do
    if redis.call('ZREM', base_key .. suffix, job_id) == 1 then -- the queue's own sets
      return suffix
    end
  end
  for _, suffix in ipairs(LISTS) do
    if redis.call('LREM', base_key .. suffix, 0, job_id) > 0 then -- the queue's own lists
      return suffix
    end
  end
  return 'unknown'
end

if is_pending_iteration(repeat_key, job_key, job_id) then
  return -8
end
if redis.call('EXISTS', lock_key) == 1 then
  return 0
end
local state = leave_state()
if delete_jobs(base_key, { job_id }) > 0 then
  emit_trimmed(events_key, max_events(meta_key), 'removed', 'jobId', job_id, 'prev', state)
end
return 1
