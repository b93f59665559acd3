-- Removes a batch of jobs of one state: clean and drain (wire format, section 7.15).
-- Looks at up to `scan` ids from `offset` on, at the end that is taken first.
-- Spared: pending jobs of schedulers, and active jobs whose lock is alive.
-- Replies: {how many were looked at, removed id...}. Event: cleaned, if asked for.
local base_key = KEYS[1] -- start of every key of the queue
local set_key = KEYS[2] -- list or sorted set of the state
local kind = ARGV[1] -- list, set (by the jobs' times) or finished (by the scores)
local offset = ARGV[2] -- ids already looked at and kept
local scan = ARGV[3] -- how many ids to look at
local limit = ARGV[4] -- how many to remove at the most
local newest_ms = ARGV[5] -- remove jobs up to this time; -1: all
local is_active = ARGV[6] -- 1: spare jobs with a lock
local emits = ARGV[7] -- 1: emit cleaned

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/slots"
--- @include "lib/pending"

local keys = queue_keys(base_key)
local skip, width, newest = tonumber(offset), tonumber(scan), tonumber(newest_ms)

local function candidates()
  if kind == 'finished' then
    return redis.call('ZRANGEBYSCORE', set_key, 0, newest < 0 and '+inf' or newest_ms,
      'LIMIT', skip, width)
  elseif kind == 'set' then
    return redis.call('ZRANGE', set_key, skip, skip + width - 1)
  end
  return redis.call('LRANGE', set_key, -(skip + width), -(skip + 1))
end

-- A job's age counts from when it finished, else was taken, else was made. What cannot be read
-- counts as old.
local function is_old(job_key)
  if newest < 0 or kind == 'finished' or not is_job(job_key) then
    return true
  end
  local times = redis.call('HMGET', job_key, 'finishedOn', 'processedOn', 'timestamp')
  return (tonumber(times[1] or times[2] or times[3] or '') or 0) <= newest
end

local function may_go(job_id)
  local job_key = base_key .. job_id -- the id comes from the state's own list or set
  if is_active == '1' and redis.call('EXISTS', job_key .. ':lock') == 1 then
    return false
  end
  -- A scheduler that came to its end keeps its last job's time, so a finished job may look pending.
  local is_pending = kind ~= 'finished' and is_pending_iteration(keys.scheduled, job_key, job_id)
  return is_old(job_key) and not is_pending
end

local function leave(job_id)
  if kind == 'list' then
    redis.call('LREM', set_key, -1, job_id)
  else
    redis.call('ZREM', set_key, job_id)
  end
end

local ids, removed = candidates(), {}
for _, job_id in ipairs(ids) do
  if #removed < tonumber(limit) and may_go(job_id) then
    leave(job_id)
    removed[#removed + 1] = job_id
  end
end
remove_jobs(keys, removed)
if emits == '1' then
  emit(keys.events, 'cleaned', 'count', int(#removed))
end
table.insert(removed, 1, #ids)
return removed
