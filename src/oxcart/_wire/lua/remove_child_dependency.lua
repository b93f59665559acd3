-- Cuts the tie between a job and its parent (wire format, section 7.15).
-- Replies: 0 cut, 1 the parent does not wait for it, -1 no such job, -5 no such parent.
-- Event: waiting, of a parent that waited for this one alone.
local job_key = KEYS[1] -- hash

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"

if not is_job(job_key) then
  return -1
end
local parent = parent_of(job_key)
if not parent then
  return 1
end
if not is_job(parent.key) then
  return -5
end
if redis.call('SISMEMBER', parent.key .. ':dependencies', job_key) == 0 then
  return 1
end
unlink_child(parent, job_key)
redis.call('HDEL', job_key, 'parentKey', 'parent')
return 0
