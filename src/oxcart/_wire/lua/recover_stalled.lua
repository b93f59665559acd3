-- The stalled check: gives back what a vanished worker held (wire format, section 7.11).
-- Replies: ids given back; none if another worker checked within the interval; nothing if it is too early
--   to tell: no heartbeat of the asking worker was received of late, so the server stood still or was
--   away, and the other workers' heartbeats say nothing.
-- Events: waiting (prev active), then stalled, a job.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list
local active_key = KEYS[3] -- list
local stalled_key = KEYS[4] -- set: ids active at the last check and not renewed since
local check_key = KEYS[5] -- string: guard, expires with the interval
local marker_key = KEYS[6] -- sorted set
local meta_key = KEYS[7] -- hash
local events_key = KEYS[8] -- stream
local repeat_key = KEYS[9] -- sorted set of schedulers
local workers_key = KEYS[10] -- hash: the registry, holder -> record
local beats_key = KEYS[11] -- sorted set: holder -> last heartbeat
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local interval_ms = ARGV[2] -- one check in this time
local max_stalled = ARGV[3] -- recoveries allowed before a job is failed
local alive_ms = ARGV[4] -- a registered worker with a heartbeat within this time is alive
local holder = ARGV[5] -- the asking worker; empty: one that is not registered

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/recover"
--- @include "lib/suspects"

local CHUNK = 5000

if redis.call('EXISTS', check_key) == 1 then
  return {}
end
local now = read_clock(given_now)
local oldest = now - tonumber(alive_ms)
local beat_at = holder ~= '' and redis.call('ZSCORE', beats_key, holder)
if beat_at and tonumber(beat_at) < oldest then
  return false
end
redis.call('SET', check_key, int(now), 'PX', interval_ms)
if redis.call('EXISTS', events_key) == 1 then
  redis.call('XTRIM', events_key, 'MAXLEN', '~', max_events(meta_key))
end

local keys = {
  base = base_key, wait = wait_key, active = active_key, marker = marker_key, meta = meta_key,
  events = events_key, repeats = repeat_key,
}
local suspects = unlocked(base_key, redis.call('SMEMBERS', stalled_key))
redis.call('DEL', stalled_key)
local recovered = {}
if #suspects > 0 then
  local living = living_names(workers_key, beats_key, int(oldest))
  local ran = how_they_ran(suspects, living)
  for at, suspect in ipairs(suspects) do
    if recover(keys, suspect.id, max_stalled, ran[at]) then
      recovered[#recovered + 1] = suspect.id
    end
  end
end
local active = redis.call('LRANGE', active_key, 0, -1)
for at = 1, #active, CHUNK do
  redis.call('SADD', stalled_key, unpack(active, at, math.min(at + CHUNK - 1, #active)))
end
return recovered
