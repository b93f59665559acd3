-- Takes one active job that the supervisor holds, to run it alone (wire format, section 7.4, for a job
-- that is active already).
-- Replies: {now, {id, {field, value...}, times taken}}; {now} if the lock has another token, or there is
--   no readable job.
-- Events: active.
local base_key = KEYS[1] -- start of every job's key
local events_key = KEYS[2] -- stream
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local job_id = ARGV[2] -- the job
local held_token = ARGV[3] -- of the supervisor's lock
local token = ARGV[4] -- of the new one
local lock_ms = ARGV[5] -- how long it lasts
local worker_name = ARGV[6] -- kept with the job; may be empty

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/ready"
--- @include "lib/take"

local now = read_clock(given_now)
local job_key = base_key .. job_id -- an id that was found in active
if redis.pcall('GET', job_key .. ':lock') ~= held_token then
  return { int(now) }
end
local worker = { token = token, lock_ms = lock_ms, name = worker_name }
local fields, started = hold({ base = base_key, events = events_key }, job_id, worker, int(now))
if not fields then
  return { int(now) }
end
redis.call('HDEL', job_key, 'ox:alone')
return { int(now), { job_id, fields, started } }
