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
--- @include "lib/add_plain"
--- @include "lib/add_any"

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

local reply
if are_plain(argv, FIRST) then
  local count = (#argv - FIRST + 1) / JOB_WIDTH
  local number = redis.call('INCRBY', keys.id, count) - count + 1
  add_plain_jobs(keys, argv, FIRST, number, now, marks)
  reply = { int(now), int(number) }
else
  reply = add_any_jobs(keys, argv, FIRST, now, length, marks)
end
put_ready(keys, marks, length)
if nonce_ms ~= '0' then
  redis.call('SET', nonce_key, cmsgpack.pack(reply), 'PX', nonce_ms)
end
return reply
