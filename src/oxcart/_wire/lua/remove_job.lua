-- Removes a job wherever it is, with its children if asked for (wire format, section 7.15).
-- Replies: 1 removed (or never there), 0 a worker runs it or a descendant, -8 a scheduler's
--   pending job, -102 too many descendants for one call.
-- Events: removed (prev state), of each job; waiting, of a parent that waited for this one alone.
local base_key = KEYS[1] -- start of every key of the queue
local job_id = ARGV[1] -- id
local with_children = ARGV[2] -- 1: its descendants too

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/slots"
--- @include "lib/pending"
--- @include "lib/leave"
--- @include "lib/family"

local SCHEDULED, TOO_MANY = -8, -102

local job = { key = base_key .. job_id, base = base_key, id = job_id }
if is_pending_iteration(queue_keys(base_key).scheduled, job.key, job_id) then
  return SCHEDULED
end
local family = {}
if with_children == '1' then
  family = descendants_of(job.key)
end
if not family then
  return TOO_MANY
end
family[#family + 1] = job
if has_locked(family) then
  return 0
end
remove_family(family)
return 1
