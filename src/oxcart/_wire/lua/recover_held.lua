-- Gives back at once what a worker held whose process has died: the stalled check (wire format,
-- section 7.11) for these jobs alone. A job whose lock has another token is not touched.
-- Replies: ids given back.
-- Events: waiting (prev active), then stalled, a job.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local stalled_key = KEYS[4] -- set
local marker_key = KEYS[5] -- sorted set
local meta_key = KEYS[6] -- hash
local events_key = KEYS[7] -- stream
local repeat_key = KEYS[8] -- sorted set of schedulers
local max_stalled = ARGV[1] -- recoveries allowed before a job is failed
local how = ARGV[2] -- how the jobs ran: see lib/recover
local reason = ARGV[3] -- why a job is failed, with %d for how often; empty: the usual text
local argv = ARGV -- from 4 on, a job: id, token

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/recover"

local FIRST, WIDTH = 4, 2

local keys = {
  base = base_key, wait = wait_key, active = active_key, marker = marker_key, meta = meta_key,
  events = events_key, repeats = repeat_key,
}
local recovered = {}
for at = FIRST, #argv, WIDTH do
  local job_id = argv[at]
  local lock_key = base_key .. job_id .. ':lock' -- the job's own key
  if redis.pcall('GET', lock_key) == argv[at + 1] then
    redis.call('DEL', lock_key)
    redis.call('SREM', stalled_key, job_id)
    if recover(keys, job_id, max_stalled, how, reason ~= '' and reason) then
      recovered[#recovered + 1] = job_id
    end
  end
end
if #recovered > 0 then
  redis.call('XTRIM', events_key, 'MAXLEN', '~', max_events(meta_key))
end
return recovered
