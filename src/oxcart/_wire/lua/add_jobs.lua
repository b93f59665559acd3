-- Adds a batch of jobs (wire format, sections 7.1 and 7.2), in order.
-- A repeated batch with the same nonce adds nothing and answers as the first did.
-- Replies: {now, id, status, id, status, ...}; status 1 added, 0 an existing job has this id.
-- Events: added, then waiting or delayed; or duplicated.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list: ids, next at the right
local active_key = KEYS[3] -- list
local prioritized_key = KEYS[4] -- sorted set
local delayed_key = KEYS[5] -- sorted set
local marker_key = KEYS[6] -- sorted set of wake-up tokens
local meta_key = KEYS[7] -- hash
local id_key = KEYS[8] -- counter of adds
local counter_key = KEYS[9] -- counter of priorities
local events_key = KEYS[10] -- stream
local nonce_key = KEYS[11] -- string: the packed reply to this batch, for a minute
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local nonce_ms = ARGV[2] -- how long the reply is remembered; 0 not at all
local argv = ARGV -- from 3 on, a job: see lib/new_job

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/types"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/new_job"

local FIRST = 3
if nonce_ms ~= '0' then
  local remembered = redis.call('GET', nonce_key)
  if remembered then
    return cmsgpack.unpack(remembered)
  end
end

local refused = wrong_type({
  wait = wait_key, active = active_key, prioritized = prioritized_key, delayed = delayed_key,
  marker = marker_key, meta = meta_key, counter = counter_key, events = events_key,
})
if refused then
  return refused
end
local now = read_clock(given_now)
local length = max_events(meta_key)
local has_ready, has_delayed = false, false

local function place(job)
  if job.delay > 0 then
    push_delayed(delayed_key, job.id, job.due)
    emit_trimmed(events_key, length, 'delayed', 'jobId', job.id, 'delay', int(job.due))
    has_delayed = true
    return
  end
  push_ready(wait_key, prioritized_key, counter_key, job.id, job.priority, job.side)
  emit_trimmed(events_key, length, 'waiting', 'jobId', job.id)
  has_ready = true
end

-- Returns the job's id, and its status for the reply.
local function add(job)
  local counted = redis.call('INCR', id_key)
  if job.id == '' then
    job.id = int(counted)
  elseif redis.call('EXISTS', base_key .. job.id) == 1 then
    emit_trimmed(events_key, length, 'duplicated', 'jobId', job.id)
    return job.id, 0
  end
  redis.call('HSET', base_key .. job.id, 'name', job.name, 'data', job.data, 'opts', job.opts,
    'timestamp', int(job.timestamp), 'delay', int(job.delay), 'priority', int(job.priority))
  emit(events_key, 'added', 'jobId', job.id, 'name', job.name)
  place(job)
  return job.id, 1
end

local reply = { int(now) }
for at = FIRST, #argv, JOB_WIDTH do
  reply[#reply + 1], reply[#reply + 2] = add(read_new_job(argv, at, now))
end
if has_ready then
  wake_unless_blocked(meta_key, active_key, marker_key)
end
if has_delayed then
  mark_next_due(delayed_key, marker_key)
end
if nonce_ms ~= '0' then
  redis.call('SET', nonce_key, cmsgpack.pack(reply), 'PX', nonce_ms)
end
return reply
