-- Hands the jobs that a dead worker held to its supervisor, which has them run alone: they stay active,
-- under the supervisor's lock. A job whose lock has another token is not touched.
-- Replies: ids adopted. One that exceeds the limit goes back to wait and is failed when it is next taken.
-- Events: waiting (prev active), then stalled, a job.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local stalled_key = KEYS[4] -- set
local marker_key = KEYS[5] -- sorted set
local meta_key = KEYS[6] -- hash
local events_key = KEYS[7] -- stream
local repeat_key = KEYS[8] -- sorted set of schedulers
local new_token = ARGV[1] -- of the supervisor's locks
local lock_ms = ARGV[2] -- how long they last
local max_stalled = ARGV[3] -- recoveries allowed before a job is failed
local how = ARGV[4] -- how the jobs ran: 'alone' counts
local reason = ARGV[5] -- why a job is failed, with %d for how often
local argv = ARGV -- from 6 on, a job: id, token

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/recover"

local FIRST, WIDTH = 6, 2

local keys = {
  base = base_key, wait = wait_key, active = active_key, marker = marker_key, meta = meta_key,
  events = events_key, repeats = repeat_key,
}
local adopted = {}
for at = FIRST, #argv, WIDTH do
  local job_id = argv[at]
  local job_key = base_key .. job_id -- an id that the dead worker held
  local lock_key = job_key .. ':lock' -- the job's own key
  if redis.pcall('GET', lock_key) == argv[at + 1] and is_job(job_key) then
    redis.call('SREM', stalled_key, job_id)
    if how == 'alone' and count_recovery(keys, job_id, max_stalled, how, reason) then
      redis.call('DEL', lock_key)
      redis.call('LREM', active_key, 1, job_id)
      put_next(keys, job_id)
    else
      redis.call('SET', lock_key, new_token, 'PX', lock_ms)
      adopted[#adopted + 1] = job_id
    end
    emit_stalled(keys, job_id)
  end
end
if redis.call('EXISTS', events_key) == 1 then
  redis.call('XTRIM', events_key, 'MAXLEN', '~', max_events(meta_key))
end
return adopted
