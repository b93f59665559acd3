-- Gives back at once what a worker held whose process has died: the stalled check (wire format,
-- section 7.11) for its jobs alone. What another worker has taken meanwhile is not touched.
-- Replies: ids given back.
-- Events: waiting (prev active), then stalled, a job.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local stalled_key = KEYS[4] -- set
local marker_key = KEYS[5] -- sorted set
local meta_key = KEYS[6] -- hash
local repeat_key = KEYS[7] -- sorted set of schedulers
local events_key = KEYS[8] -- stream
local holder = ARGV[1] -- what the tokens of the worker's locks begin with
local max_stalled = ARGV[2] -- recoveries allowed before a job is failed

--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/recover"
--- @include "lib/held"

local keys = {
  base = base_key, wait = wait_key, active = active_key, marker = marker_key, meta = meta_key,
  repeats = repeat_key, events = events_key,
}
local recovered = {}
for _, job in ipairs(held_by(holder, base_key, active_key)) do
  redis.call('DEL', job[2])
  redis.call('SREM', stalled_key, job[1])
  if recover(keys, job[1], max_stalled) then
    recovered[#recovered + 1] = job[1]
  end
end
if #recovered > 0 then
  redis.call('XTRIM', events_key, 'MAXLEN', '~', max_events(meta_key))
end
return recovered
