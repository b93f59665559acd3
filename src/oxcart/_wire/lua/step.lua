-- One step of a worker: ends the runs that are over and takes new jobs, atomically.
-- A repeated step (same sequence number) changes nothing and answers as the first did; one that
-- arrives after a later step of the same worker changes nothing and answers nothing.
-- Replies: {now, next due ms or -1, 1 if blocked, {code a run}, {{id, {field, value...}, times taken}...},
--   {dropped id...}, ms for which a rate limit holds jobs back, 1 if jobs were left for their size}.
-- Codes: 0 done, 1 no children to wait for, -1 job gone, -2 no lock, -3 not active, -4 children
--   pending, -6 another's lock, -9 children failed, -101 a key of the parent's queue is wrong.
-- Events: completed, failed, retries-exhausted, waiting, delayed, waiting-children, active, drained,
--   added (a job that was kept for later, or that follows a scheduler's), duplicated.
local base_key = KEYS[1] -- start of every key of the queue
local replay_key = KEYS[2] -- string: the packed outcome of this worker's last step
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local sequence = ARGV[2] -- number of the step; 0: not remembered
local replay_ms = ARGV[3] -- how long the outcome is remembered
local token = ARGV[4] -- lock token of the jobs taken
local lock_ms = ARGV[5] -- how long they are locked
local worker_name = ARGV[6] -- kept with the jobs taken; may be empty
local take_count = ARGV[7] -- how many jobs to take at the most
local metrics_size = ARGV[8] -- data points kept of finished jobs a minute; 0: none are counted
local limit_max = ARGV[9] -- the worker's rate limit: jobs a window; empty: none
local limit_ms = ARGV[10] -- its window; empty: none
local argv = ARGV -- from 11 on, a run: see lib/read_runs

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
--- @include "lib/promote"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/claim"
--- @include "lib/requeue"
--- @include "lib/retention"
--- @include "lib/metrics"
--- @include "lib/limit"
--- @include "lib/lock"
--- @include "lib/ties"
--- @include "lib/child_failed"
--- @include "lib/plain"
--- @include "lib/complete"
--- @include "lib/finish"
--- @include "lib/return"
--- @include "lib/read_runs"
--- @include "lib/runs"
--- @include "lib/slots"
--- @include "lib/iteration"
--- @include "lib/following"
--- @include "lib/intervals"
--- @include "lib/take"
--- @include "lib/fetch"
--- @include "lib/replay"

local FIRST = 11
local replayed = recall_step(replay_key, base_key, sequence, given_now)
if replayed then
  return replayed
end
local keys = queue_keys(base_key)
local refused = wrong_type(keys)
if refused then
  return refused
end
local now, count, points = read_clock(given_now), tonumber(take_count), tonumber(metrics_size)

local ended = end_runs(keys, argv, FIRST, now)
if points > 0 then count_ends(base_key, ended, points, now) end
local taken, is_held_back, due, limited_ms, is_full = {}, false, nil, 0, false
if count > 0 then
  local worker = { token = token, lock_ms = lock_ms, name = worker_name,
    limit_max = tonumber(limit_max), limit_ms = tonumber(limit_ms) }
  taken, is_held_back, due, limited_ms, is_full = fetch(keys, count, worker, now, ended.dropped)
end
if ended.delayed > 0 and #taken < math.max(1, count) then
  mark_next_due(keys.delayed, keys.marker)
end
if ended.completed + ended.failed > 0 and #taken == 0 and not is_held_back and not due
  and limited_ms == 0 and redis.call('EXISTS', keys.wait, keys.active, keys.prioritized) == 0 then
  emit(keys.events, 'drained')
end
remember_step(replay_key, sequence, replay_ms, ended.codes, taken, token)
local due_text = due and int(math.floor(due)) or '-1'
return { int(now), due_text, is_held_back and 1 or 0, ended.codes, taken, ended.dropped, limited_ms,
  is_full and 1 or 0 }
