-- One step of a worker: ends the runs that are over and takes new jobs, atomically.
-- A repeated step (same sequence number) changes nothing and answers as the first did; one that
-- arrives after a later step of the same worker changes nothing and answers nothing.
-- Replies: {now, next due ms or -1, 1 if blocked, {code a run}, {{id, {field, value...}}...},
--   {dropped id...}}.
-- Codes: 0 done, -1 job gone, -2 no lock, -3 not active, -6 another's lock.
-- Events: completed, failed, retries-exhausted, waiting, delayed, active, drained.
local base_key = KEYS[1] -- start of every job's key
local wait_key = KEYS[2] -- list: ids, next at the right
local active_key = KEYS[3] -- list: ids, newest at the left
local prioritized_key = KEYS[4] -- sorted set
local delayed_key = KEYS[5] -- sorted set
local completed_key = KEYS[6] -- sorted set
local failed_key = KEYS[7] -- sorted set
local stalled_key = KEYS[8] -- set
local marker_key = KEYS[9] -- sorted set of wake-up tokens
local meta_key = KEYS[10] -- hash
local counter_key = KEYS[11] -- counter of priorities
local events_key = KEYS[12] -- stream
local replay_key = KEYS[13] -- string: the packed outcome of this worker's last step
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local sequence = ARGV[2] -- number of the step; 0: not remembered
local replay_ms = ARGV[3] -- how long the outcome is remembered
local token = ARGV[4] -- lock token of the jobs taken
local lock_ms = ARGV[5] -- how long they are locked
local worker_name = ARGV[6] -- kept with the jobs taken; may be empty
local take_count = ARGV[7] -- how many jobs to take at the most
local argv = ARGV -- from 8 on, a run: see lib/runs

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/promote"
--- @include "lib/remove"
--- @include "lib/retention"
--- @include "lib/lock"
--- @include "lib/finish"
--- @include "lib/return"
--- @include "lib/runs"
--- @include "lib/take"
--- @include "lib/fetch"
--- @include "lib/replay"

local FIRST = 8

local replayed = recall_step(replay_key, base_key, sequence, given_now)
if replayed then
  return replayed
end

local keys = {
  base = base_key, wait = wait_key, active = active_key, prioritized = prioritized_key,
  delayed = delayed_key, completed = completed_key, failed = failed_key, stalled = stalled_key,
  marker = marker_key, meta = meta_key, counter = counter_key, events = events_key,
}
local refused = wrong_type(keys)
if refused then
  return refused
end
local now = read_clock(given_now)
local count = tonumber(take_count)

local ended = end_runs(keys, argv, FIRST, now)
local taken, is_held_back, due = {}, false, nil
if count > 0 then
  local worker = { token = token, lock_ms = lock_ms, name = worker_name }
  taken, is_held_back, due = fetch(keys, count, worker, now, ended.dropped)
end
if ended.has_delayed and (#taken == 0 or #taken < count) then
  mark_next_due(delayed_key, marker_key)
end
if ended.has_finished and #taken == 0 and not is_held_back and not due
  and redis.call('EXISTS', wait_key, active_key, prioritized_key) == 0 then
  emit(events_key, 'drained')
end

remember_step(replay_key, sequence, replay_ms, ended.codes, taken, token)
return {
  int(now), due and int(math.floor(due)) or '-1', is_held_back and 1 or 0, ended.codes, taken,
  ended.dropped,
}
