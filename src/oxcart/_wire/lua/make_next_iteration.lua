-- Makes the job after a scheduler's job that was taken (wire format, section 11.3).
-- Only the pending job has one: taken again, after a retry or from a dead worker, it changes
-- nothing. Steps do the same for the intervals' jobs that they take.
-- Replies: {1, due ms} made; {0} not the pending job, or its scheduler is gone; {2} there already;
--   {-1} the definition cannot be read.
-- Events: added, then waiting or delayed; or duplicated.
local base_key = KEYS[1] -- start of every key of the queue
local scheduler_key = KEYS[2] -- hash: the definition
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local scheduler_id = ARGV[2] -- id
local taken_id = ARGV[3] -- the job that was taken
local given_every = ARGV[4] -- ms between two jobs, as the job says; empty: a pattern
local given_due = ARGV[5] -- the pattern's next time; empty: an interval
local opts_head = ARGV[6] -- the next job's options, JSON, up to the time in its id
local priority = ARGV[7] -- the next job's
local lifo = ARGV[8] -- 1: run next

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/create"
--- @include "lib/slots"
--- @include "lib/iteration"
--- @include "lib/following"

local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
local given = {
  every = read_ms(given_every), due = read_ms(given_due), opts_head = opts_head,
  priority = tonumber(priority), side = lifo == '1' and 'RPUSH' or 'LPUSH',
}
local code, slot = make_following(
  keys, scheduler_key, scheduler_id, taken_id, given, read_clock(given_now))
return { code, slot and int(slot) or nil }
