-- Removes a parent's pending children with their own, except where a worker runs one of them (wire
-- format, section 7.15). Failed ones that wait to be retried stay. A part of the children a call.
-- Replies: {where to go on, how many were removed, 1 if the same part has more}; all were looked at
-- when the first is 0 and the last is 0.
-- Events: removed, of each; waiting, of the parent if none is left.
local base_key = KEYS[1] -- start of every key of the parent's queue
local job_id = ARGV[1] -- the parent's id
local cursor = ARGV[2] -- where the last call stopped; 0 at first
local count = ARGV[3] -- how many children to look at, about
local most = ARGV[4] -- stop after so many jobs, descendants included

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

local removed, leaving, is_cut = 0, {}, false
local page = redis.call('SSCAN', base_key .. job_id .. ':dependencies', cursor, 'COUNT', count)
local following = page[1]
for _, child_key in ipairs(page[2]) do
  if #leaving >= tonumber(most) then
    following, is_cut = cursor, true -- the same part again, without those that left
    break
  end
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
return { following, removed, is_cut and 1 or 0 }
