-- Removes a queue with everything in it, a part a call (wire format, section 7.15). Unlike upstream,
-- parents that wait for children, the rate limit and kept deduplicated jobs go too.
-- Replies: 0 all is gone, 1 call again, -1 the queue is not paused, -2 jobs are being run.
-- Event: waiting, of parents in other queues that waited for a job of this one.
local base_key = KEYS[1] -- start of every key of the queue
local count = ARGV[1] -- how many jobs one call removes
local is_forced = ARGV[2] -- 1: running jobs too

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"

local LISTS = { 'active', 'wait', 'paused' }
local SETS = { 'delayed', 'prioritized', 'completed', 'failed' }
local REST = {
  'events', 'stalled-check', 'stalled', 'id', 'pc', 'marker', 'meta', 'limiter', 'repeat',
  'metrics:completed', 'metrics:failed', 'metrics:completed:data', 'metrics:failed:data',
  'oxcart:unknown-jobs',
}

local keys = queue_keys(base_key)
local left = tonumber(count)

local function remove_batch(ids)
  for _, job_id in ipairs(ids) do
    redis.call('DEL', base_key .. job_id .. ':lock')
  end
  remove_jobs(keys, ids)
  left = left - #ids
end

local function empty_list(key)
  local ids = redis.call('LRANGE', key, 0, left - 1)
  if #ids > 0 then
    redis.call('LTRIM', key, #ids, -1)
    remove_batch(ids)
  end
end

local function empty_set(key)
  local ids = redis.call('ZRANGE', key, 0, left - 1)
  if #ids > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, #ids - 1)
    remove_batch(ids)
  end
end

local function forget_schedulers()
  local ids = redis.call('ZRANGE', keys.scheduled, 0, left - 1)
  for _, scheduler_id in ipairs(ids) do
    redis.call('DEL', keys.scheduled .. ':' .. scheduler_id)
    redis.call('ZREM', keys.scheduled, scheduler_id)
  end
  left = left - #ids
end

if redis.call('HEXISTS', keys.meta, 'paused') == 0 then
  return -1
end
if is_forced ~= '1' and redis.call('EXISTS', keys.active) == 1 then
  return -2
end
forget_schedulers()
if left > 0 then
  empty_set(keys.children) -- first: the loss of their children would put them into wait
end
for _, name in ipairs(LISTS) do
  if left > 0 then
    empty_list(keys[name])
  end
end
for _, name in ipairs(SETS) do
  if left > 0 then
    empty_set(keys[name])
  end
end
if left <= 0 then
  return 1
end
for _, suffix in ipairs(REST) do
  redis.call('DEL', base_key .. suffix)
end
return 0
