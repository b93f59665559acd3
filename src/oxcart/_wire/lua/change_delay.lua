-- Changes when a delayed job is due, counted from now (wire format, section 7.8).
-- Replies: 0, -1 if the job is gone, -3 if it is not delayed. Event: delayed.
local base_key = KEYS[1] -- start of every key of the queue
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local job_id = ARGV[2] -- id
local delay = ARGV[3] -- ms from now; empty: until the instant
local due_at = ARGV[4] -- ms since the epoch, or empty

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/delayed"

local keys = queue_keys(base_key)
local job_key = base_key .. job_id
if not is_job(job_key) then
  return -1
end
if redis.call('ZREM', keys.delayed, job_id) == 0 then
  return -3
end
local now = read_clock(given_now)
local wait = tonumber(delay) or math.max(0, tonumber(due_at) - now)
push_delayed(keys.delayed, job_id, now + wait)
redis.call('HSET', job_key, 'delay', int(wait))
emit_trimmed(keys.events, max_events(keys.meta), 'delayed', 'jobId', job_id, 'delay', int(now + wait))
mark_next_due(keys.delayed, keys.marker)
return 0
