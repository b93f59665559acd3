-- Removes a parent's pending children with their own, except where a worker runs one of them (wire
-- format, section 7.15). Failed ones that wait to be retried stay. Replies: how many were removed.
-- Events: removed, of each; waiting, of the parent if none is left.
local base_key = KEYS[1] -- start of every key of the parent's queue
local job_id = ARGV[1] -- the parent's id

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/leave"
--- @include "lib/family"

local removed, leaving = 0, {}
for _, child_key in ipairs(redis.call('SMEMBERS', base_key .. job_id .. ':dependencies')) do
  local child = job_at(child_key)
  local is_failed = child and redis.call('ZSCORE', queue_keys(child.base).failed, child.id)
  local family = child and not is_failed and descendants_of(child_key)
  if family and not has_locked({ child }) and not has_locked(family) then
    for _, descendant in ipairs(family) do
      leaving[#leaving + 1] = descendant
    end
    leaving[#leaving + 1] = child
    removed = removed + 1
  end
end
remove_family(leaving)
return removed
