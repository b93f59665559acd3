-- Adds jobs that have ids of the caller's, unless it is later than an instant: then nothing is added.
-- For callers that stop waiting: a call that the server gets to after a standstill has no effect.
-- A repeated call adds nothing, as the ids exist. (See add_jobs for the adding itself.)
-- Replies: {now, id, status, id, status, ...} as add_jobs; {now} if it is too late.
-- Events: added, then waiting or delayed; or duplicated; or deduplicated.
local base_key = KEYS[1] -- start of every key of the queue
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local before_ms = ARGV[2] -- the latest instant at which jobs are added, ms
local argv = ARGV -- from 3 on, a job: see lib/new_job

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/create"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/claim"
--- @include "lib/holder"
--- @include "lib/dedup"
--- @include "lib/new_job"
--- @include "lib/add"
--- @include "lib/add_any"

local FIRST = 3
local now = read_clock(given_now)
if now > tonumber(before_ms) then
  return { int(now) }
end
local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
local length, marks = max_events(keys.meta), {}
local reply = add_any_jobs(keys, argv, FIRST, now, length, marks)
put_ready(keys, marks, length)
return reply
