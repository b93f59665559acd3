-- Adds a batch of jobs (wire format, sections 7.1 to 7.3), in order.
-- A repeated batch with the same nonce adds nothing and answers as the first did.
-- Replies: {now, id, status, id, status, ...}, or {now, number} if all were added and have the numbers
--   from this one on for ids; status 1 added, 0 an existing job has this id, 2 an existing job holds
--   its deduplication id (then the id is that job's), -5 its parent is gone, -7 an existing job has
--   another parent, -101 a key of the parent's queue is wrong.
-- Events: added, then waiting or delayed; or duplicated; or deduplicated.
local base_key = KEYS[1] -- start of every key of the queue
local nonce_key = KEYS[2] -- string: the packed reply to this batch, for a minute
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local nonce_ms = ARGV[2] -- how long the reply is remembered; 0 not at all
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

local FIRST = 3
if nonce_ms ~= '0' then
  local remembered = redis.call('GET', nonce_key)
  if remembered then
    return cmsgpack.unpack(remembered)
  end
end

local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
local now = read_clock(given_now)
local length, marks = max_events(keys.meta), {}

local jobs, has_parents, is_plain = {}, false, true
for at = FIRST, #argv, JOB_WIDTH do
  local job = read_new_job(argv, at, now)
  jobs[#jobs + 1], has_parents = job, has_parents or job.parent
  is_plain = is_plain and job.id == '' and not job.dedup
end
if not has_parents then -- then none is refused, and each takes a number
  marks.numbers, marks.last_number = #jobs, redis.call('INCRBY', keys.id, #jobs)
end

local reply = { int(now) }
for _, job in ipairs(jobs) do
  local refusal = refusal_of(keys, job)
  if refusal then
    reply[#reply + 1], reply[#reply + 2] = job.id, refusal
  else
    reply[#reply + 1], reply[#reply + 2] = add_job(keys, job, now, length, marks, true)
  end
end
put_ready(keys, marks, length)
if is_plain and not has_parents then
  reply = { int(now), int(marks.last_number - #jobs + 1) }
end
if nonce_ms ~= '0' then
  redis.call('SET', nonce_key, cmsgpack.pack(reply), 'PX', nonce_ms)
end
return reply
