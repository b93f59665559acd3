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
local argv = ARGV -- from 3 on, a job: id, name, data, opts, timestamp, delay, due, priority, lifo

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"

local FIRST, WIDTH = 3, 9

if nonce_ms ~= '0' then
  local remembered = redis.call('GET', nonce_key)
  if remembered then
    return cmsgpack.unpack(remembered)
  end
end

local now = read_clock(given_now)
local length = max_events(meta_key)
local has_ready, has_delayed = false, false

local function place(job_id, priority, lifo, delay, due)
  if delay > 0 then
    push_delayed(delayed_key, job_id, due)
    emit_trimmed(events_key, length, 'delayed', 'jobId', job_id, 'delay', int(due))
    has_delayed = true
    return
  end
  push_ready(wait_key, prioritized_key, counter_key, job_id, priority, lifo and 'RPUSH' or 'LPUSH')
  emit_trimmed(events_key, length, 'waiting', 'jobId', job_id)
  has_ready = true
end

local function add(at)
  local job_id = argv[at]
  local counted = redis.call('INCR', id_key)
  if job_id == '' then
    job_id = int(counted)
  elseif redis.call('EXISTS', base_key .. job_id) == 1 then
    emit_trimmed(events_key, length, 'duplicated', 'jobId', job_id)
    return job_id, 0
  end
  local timestamp = argv[at + 4] == '' and now or tonumber(argv[at + 4])
  local delay = tonumber(argv[at + 5])
  if argv[at + 6] ~= '' then -- due at an instant: the delay is what is left until then
    delay = math.max(0, tonumber(argv[at + 6]) - timestamp)
  end
  local priority = tonumber(argv[at + 7])
  redis.call('HSET', base_key .. job_id, 'name', argv[at + 1], 'data', argv[at + 2],
    'opts', argv[at + 3], 'timestamp', int(timestamp), 'delay', int(delay), 'priority', argv[at + 7])
  emit(events_key, 'added', 'jobId', job_id, 'name', argv[at + 1])
  place(job_id, priority, argv[at + 8] == '1', delay, timestamp + delay)
  return job_id, 1
end

local reply = { int(now) }
for at = FIRST, #argv, WIDTH do
  local job_id, status = add(at)
  reply[#reply + 1] = job_id
  reply[#reply + 1] = status
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
