-- A worker's step of the usual kind: all its runs are completed and reach nothing beyond their own
-- jobs, nothing is due, paused or limited. Does what `step` does then, in less time. Replies as `step`;
-- or nothing, and has written nothing: then `step` is to be sent.
-- Events: completed, active, drained; added, delayed, waiting, duplicated for a job after a scheduler's.
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
local keeps_all = ARGV[9] -- 1: the completed jobs are kept; 0: they are removed
local argv = ARGV -- from 10 on, a completed run: id, token, and what was returned, as JSON

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/delete"
--- @include "lib/metrics"
--- @include "lib/plain"
--- @include "lib/complete"
--- @include "lib/survey"
--- @include "lib/take"
--- @include "lib/replay"

local FIRST, RUN_WIDTH = 10, 3
local replayed = recall_step(replay_key, base_key, sequence, given_now)
if replayed then
  return replayed
end
local keys = queue_keys(base_key)
local now, count, points = read_clock(given_now), tonumber(take_count), tonumber(metrics_size)
local runs = {}
for at = FIRST, #argv, RUN_WIDTH do
  local id = argv[at]
  runs[#runs + 1] = { id = id, key = base_key .. id, token = argv[at + 1], value = argv[at + 2] }
end
local found = survey(keys, now)
if not found or (#runs > 0 and #part_plain(runs) < #runs) then
  return false
end

local ended = { codes = {}, completed = 0, failed = 0, knows_no_stalled = found.stalled == 0 }
if #runs > 0 then
  if found.events > found.most_events then
    redis.call('XTRIM', keys.events, 'MAXLEN', '~', found.most_events)
  end
  complete_together(keys, runs, now, ended, keeps_all == '1')
  for at, run in ipairs(runs) do ended.codes[at] = run.code end
  if points > 0 then count_ends(base_key, ended, points, now) end
end

local dropped, ready = {}, found.wait + found.prioritized
local taken, is_full = {}, false
if count > 0 and ready > 0 then
  taken, is_full = take(keys, count, { token = token, lock_ms = lock_ms, name = worker_name }, now, dropped)
end
if taken.may_follow then -- what few steps need is not set up in the others
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/create"
--- @include "lib/slots"
--- @include "lib/iteration"
--- @include "lib/following"
--- @include "lib/intervals"
  follow_all_taken(keys, taken, now)
  found.next_due = next_due(keys.delayed)
end
if #taken < count and not is_full then
  if redis.call('EXISTS', keys.wait, keys.prioritized) == 0 then
    redis.call('DEL', keys.counter)
  else
    wake(keys.marker) -- too many unreadable ids in a row: the next step goes on
  end
end
local due = #taken < count and not is_full and found.next_due or nil
if ended.completed > 0 and #taken == 0 and not due
  and redis.call('EXISTS', keys.wait, keys.active, keys.prioritized) == 0 then
  emit(keys.events, 'drained')
end

remember_step(replay_key, sequence, replay_ms, ended.codes, taken, token)
local due_text = due and int(math.floor(due)) or '-1'
return { int(now), due_text, 0, ended.codes, taken, dropped, 0, is_full and 1 or 0 }
