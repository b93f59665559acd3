-- The stalled check: gives back what a vanished worker held (wire format, section 7.11).
-- Replies: ids given back; nothing if another worker checked within the interval.
-- Events: waiting (prev active), then stalled, a job.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local stalled_key = KEYS[4] -- set: ids active at the last check and not renewed since
local check_key = KEYS[5] -- string: guard, expires with the interval
local marker_key = KEYS[6] -- sorted set
local meta_key = KEYS[7] -- hash
local repeat_key = KEYS[8] -- sorted set of schedulers
local events_key = KEYS[9] -- stream
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local interval_ms = ARGV[2] -- one check in this time
local max_stalled = ARGV[3] -- recoveries allowed before a job is failed

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/recover"

local CHUNK = 5000

if redis.call('EXISTS', check_key) == 1 then
  return {}
end
redis.call('SET', check_key, int(read_clock(given_now)), 'PX', interval_ms)
redis.call('XTRIM', events_key, 'MAXLEN', '~', max_events(meta_key))

local keys = {
  base = base_key, wait = wait_key, active = active_key, marker = marker_key, meta = meta_key,
  repeats = repeat_key, events = events_key,
}
local suspects = redis.call('SMEMBERS', stalled_key)
redis.call('DEL', stalled_key)
local recovered = {}
for _, job_id in ipairs(suspects) do
  local is_locked = redis.call('EXISTS', base_key .. job_id .. ':lock') == 1 -- the job's own key
  if not is_locked and recover(keys, job_id, max_stalled) then
    recovered[#recovered + 1] = job_id
  end
end
local active = redis.call('LRANGE', active_key, 0, -1)
for at = 1, #active, CHUNK do
  redis.call('SADD', stalled_key, unpack(active, at, math.min(at + CHUNK - 1, #active)))
end
return recovered
