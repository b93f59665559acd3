-- Makes delayed jobs ready that other workers could not run and the calling one can, next to be
-- taken: the caller takes at once, and no other worker is woken. Nothing in a queue that is held back.
-- Reply: how many. Events: waiting (prev delayed).
local base_key = KEYS[1] -- start of every key of the queue
local unknown_key = KEYS[2] -- sorted set: ids of jobs that were put back as unknown
local count = ARGV[1] -- how many jobs are made ready at the most
local looked_at = ARGV[2] -- how many are looked at
local most_seen = ARGV[3] -- how many workers a job's note names at the most
local worker_name = ARGV[4] -- the caller's name
local build = ARGV[5] -- its build; may be empty
local knows_all = ARGV[6] -- 1: it runs jobs of any name
local argv = ARGV -- from 7 on, the job names that it runs

--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"

local FIRST = 7
local keys = queue_keys(base_key)
local found = redis.call('ZRANGE', unknown_key, 0, looked_at - 1, 'WITHSCORES')
if #found == 0 or is_blocked(keys.meta, keys.active) then
  return 0
end
local names, promoted, most = {}, 0, tonumber(count)
for at = FIRST, #argv do
  names[argv[at]] = true
end

-- Whether the job is still delayed as it was put back: not promoted, nor delayed again since.
local function is_put_back(job_id, due)
  local score = tonumber(redis.call('ZSCORE', keys.delayed, job_id) or '')
  return score and math.floor(score / SEQUENCE) == due
end

-- Whether the caller, or a worker of its build, has found already that the payload does not fit.
local function has_seen(note)
  local can_read, unknown = pcall(cjson.decode, note)
  if not can_read or type(unknown) ~= 'table' or unknown.kind ~= 'payload' then
    return false
  end
  local seen_by = type(unknown.seen_by) == 'table' and unknown.seen_by or {}
  for _, seen in ipairs(seen_by) do
    if seen.worker == worker_name or build ~= '' and seen.build == build then
      return true
    end
  end
  return build == '' and #seen_by >= tonumber(most_seen) -- the caller may have been among the first
end

local function is_known(job_key)
  if not is_job(job_key) then
    return false
  end
  local fields = redis.call('HMGET', job_key, 'name', 'ox:unknown')
  return fields[2] and (knows_all == '1' or names[fields[1] or '']) and not has_seen(fields[2])
end

for at = 1, #found, 2 do
  local job_id = found[at]
  local job_key = base_key .. job_id -- ids come from the set: their keys cannot be declared
  if promoted < most and is_put_back(job_id, tonumber(found[at + 1])) and is_known(job_key) then
    redis.call('ZREM', keys.delayed, job_id)
    redis.call('ZREM', unknown_key, job_id)
    push_next(keys, job_id, priority_of(job_key))
    redis.call('HSET', job_key, 'delay', 0)
    emit(keys.events, 'waiting', 'jobId', job_id, 'prev', 'delayed')
    promoted = promoted + 1
  end
end
return promoted
