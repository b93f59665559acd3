-- Cancels a job: the next worker fails it without running it, through the deferred failure of the
-- wire format (sections 2.1 and 7.4). Of one that runs, its worker is told; should that die, or the
-- attempt fail by itself, the deferred failure holds.
-- Replies: 0 it will fail, 1 its worker was told, -1 gone, -3 finished already.
-- Event: waiting (prev state), if the job was not ready.
local base_key = KEYS[1] -- start of every key of the queue
local requests_key = KEYS[2] -- hash: running job -> packed {its lock's token, reason}
local job_id = ARGV[1] -- id
local reason = ARGV[2] -- text
local requests_ms = ARGV[3] -- how long requests are kept

--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"

local SETS = { delayed = 'delayed', prioritized = false, children = 'waiting-children' }

local keys = queue_keys(base_key)
local job_key = base_key .. job_id

-- Takes a job that is not running out of its place; false if it has none, else the event's prev.
local function leave_place()
  if redis.call('LREM', keys.wait, 1, job_id) > 0 then
    return true, nil
  end
  for name, previous in pairs(SETS) do
    if redis.call('ZREM', keys[name], job_id) == 1 then
      return true, previous
    end
  end
  return false
end

if not is_job(job_key) then
  return -1
end
if redis.call('LPOS', keys.active, job_id) then
  redis.call('HSET', job_key, 'defa', reason)
  local token = redis.pcall('GET', job_key .. ':lock')
  if type(token) == 'string' then -- the request is for this run alone, not for one after it
    redis.call('HSET', requests_key, job_id, cmsgpack.pack({ token, reason }))
    redis.call('PEXPIRE', requests_key, requests_ms)
  end
  return 1
end
local was_waiting, previous = leave_place()
if not was_waiting then
  return -3
end
redis.call('HSET', job_key, 'defa', reason, 'delay', 0)
redis.call('RPUSH', keys.wait, job_id)
wake_unless_blocked(keys.meta, keys.active, keys.marker)
if previous then
  emit(keys.events, 'waiting', 'jobId', job_id, 'prev', previous)
end
return 0
