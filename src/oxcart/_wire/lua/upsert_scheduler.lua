-- Makes or changes a scheduler, and its pending job with it (wire format, section 11.2).
-- A pending job is replaced, wherever it waits; one that a worker has taken goes on. One that is due
-- keeps its time while the pattern stays: a program may upsert at its start, before workers are up.
-- Replies: {now, due ms, delay ms} of the pending job; {-10} the pattern's slot has a job already,
--   {-11} so have 32 slots of the interval; then nothing was changed.
-- Events: added, then waiting or delayed.
local base_key = KEYS[1] -- start of every key of the queue
local scheduler_key = KEYS[2] -- hash: the definition
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local scheduler_id = ARGV[2] -- id
local given_every = ARGV[3] -- ms between two jobs; empty: a pattern
local given_due = ARGV[4] -- the pattern's next time; empty: an interval
local given_offset = ARGV[5] -- ms into the interval; empty: none
local given_start = ARGV[6] -- ms, when the first slot is; empty: none
local name = ARGV[7] -- the jobs' name
local data = ARGV[8] -- the jobs' data, JSON
local opts_head = ARGV[9] -- the job's options, JSON, up to the time in its id
local priority = ARGV[10] -- the job's
local lifo = ARGV[11] -- 1: run next
local argv = ARGV -- from 12 on: fields of the definition and their values

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
--- @include "lib/slots"
--- @include "lib/iteration"

local FIRST = 12
local keys = queue_keys(base_key)
local refused = wrong_type(keys) or wrong_scheduler(keys, scheduler_key)
if refused then
  return refused
end
local now = read_clock(given_now)
local every, offset, start = read_ms(given_every), read_ms(given_offset), read_ms(given_start)
local stored = redis.call('HMGET', scheduler_key, 'every', 'offset', 'ic', 'pattern', 'tz')
local stored_offset = read_ms(stored[2])
local previous = read_ms(redis.call('ZSCORE', keys.scheduled, scheduler_id))

local pending = previous and iteration_id(scheduler_id, previous)
local place = pending and find_waiting(keys, pending)
local is_same = every and previous and read_ms(stored[1]) == every
  and (not offset or offset == stored_offset) and not (start and previous < start)
local is_overdue = place and previous <= now and stored[4] == field_of(argv, FIRST, 'pattern')
  and stored[5] == field_of(argv, FIRST, 'tz') and not (start and previous < start)

-- The slot of the next job, and the offset that goes with it.
local function choose_slot()
  if not every then
    return is_overdue and previous or tonumber(given_due), 0
  elseif is_same and place then
    return previous, stored_offset or previous % every -- the pending job keeps its slot
  end
  local distance = offset or stored_offset or 0
  local due = is_same and following_slot(now, every, distance, previous)
    or first_slot(now, every, offset or 0, start)
  return due, offset and offset > 0 and offset or due % every
end

local chosen, slot_offset = choose_slot()
local due = free_slot(base_key, scheduler_id, chosen, every, place and pending)
if not due then
  return { every and -11 or -10 }
end

if place then
  leave_waiting(place, pending)
  remove_jobs(keys, { pending })
end
local kept_offset = offset or (place and stored_offset) or slot_offset
-- One into a longer interval, before it was changed: BullMQ would put a late job off by as much.
kept_offset = every and not offset and kept_offset % every or kept_offset
redis.call('DEL', scheduler_key)
redis.call('HSET', scheduler_key, 'name', name, 'offset', int(kept_offset),
  'ic', stored[3] or '1', unpack(argv, FIRST))
local job = new_iteration(scheduler_id, due, now, {
  name = name, data = data, opts_head = opts_head, is_pattern = not every,
  priority = tonumber(priority), side = lifo == '1' and 'RPUSH' or 'LPUSH',
})
schedule_iteration(keys, job)
return { int(now), int(due), int(job.delay) }
