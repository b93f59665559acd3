-- Finds schedulers whose pending job was taken, or is gone, and has no successor: the worker that
-- took it has died, or cannot make the next job (wire format, section 11.3). Changes nothing but the
-- guard. Those that have come to their end look the same; the caller knows the rules.
-- Replies: {1 if there are schedulers, now, next due ms of the delayed jobs or -1, {{scheduler id,
--   slot of the pending job, its options or '', {field, value...} of the definition}...}}.
local base_key = KEYS[1] -- start of every key of the queue
local guard_key = KEYS[2] -- string: expires with the interval
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local interval_ms = ARGV[2] -- one look in this time
local grace_ms = ARGV[3] -- how long a worker has for making the next job
local most = ARGV[4] -- schedulers looked at

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/types"
--- @include "lib/delayed"
--- @include "lib/slots"

local keys, now = queue_keys(base_key), read_clock(given_now)
local refused = refuse_type(keys.scheduled, 'zset') or refuse_type(keys.delayed, 'zset')
if refused then
  return refused
end
if redis.call('EXISTS', keys.scheduled) == 0 then
  return { 0, int(now), '-1', {} }
end
local due = next_due(keys.delayed)
local due_text = due and int(math.floor(due)) or '-1'
if not redis.call('SET', guard_key, '1', 'NX', 'PX', interval_ms) then
  return { 1, int(now), due_text, {} }
end

-- The options of a pending job that was taken long enough ago, '' if the job is gone; nil if it
-- waits, or cannot be read.
local function options_of(job_key)
  local kind = redis.call('TYPE', job_key).ok
  if kind ~= 'hash' then
    return kind == 'none' and '' or nil
  end
  local job = redis.call('HMGET', job_key, 'processedOn', 'opts')
  local taken_at = read_ms(job[1])
  return taken_at and taken_at + tonumber(grace_ms) <= now and job[2] or nil
end

local found = {}
-- The latest first: schedulers that have come to their end stay with their last time.
local overdue = redis.call(
  'ZREVRANGEBYSCORE', keys.scheduled, int(now), '-inf', 'WITHSCORES', 'LIMIT', 0, most)
for at = 1, #overdue, 2 do
  local scheduler_id, slot = overdue[at], read_ms(overdue[at + 1])
  local scheduler_key = keys.scheduled .. ':' .. scheduler_id -- the id comes from the queue's own set
  local options = slot and options_of(base_key .. iteration_id(scheduler_id, slot))
  if options and redis.call('TYPE', scheduler_key).ok == 'hash' then
    local definition = redis.call('HGETALL', scheduler_key)
    found[#found + 1] = { scheduler_id, int(slot), options, definition }
  end
end
return { 1, int(now), due_text, found }
