-- Removes a scheduler and, if it is still delayed, its pending job (wire format, section 11.5).
-- A pending job that is ready or running runs once more, and nothing follows it.
-- Replies: 1 removed, 0 there is none. Event: removed (prev delayed).
local base_key = KEYS[1] -- start of every key of the queue
local scheduler_key = KEYS[2] -- hash: the definition
local scheduler_id = ARGV[1] -- id

--- @include "lib/text"
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
--- @include "lib/slots"

local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
local due = read_ms(redis.call('ZSCORE', keys.scheduled, scheduler_id))
local pending = due and iteration_id(scheduler_id, due)
if pending and redis.call('ZREM', keys.delayed, pending) == 1 then
  remove_jobs(keys, { pending })
  emit(keys.events, 'removed', 'jobId', pending, 'prev', 'delayed')
end
local had_definition = redis.call('DEL', scheduler_key)
return math.max(redis.call('ZREM', keys.scheduled, scheduler_id), had_definition)
