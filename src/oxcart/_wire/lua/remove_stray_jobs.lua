-- Removes jobs that are in no state, and parts of jobs that are gone: what a crash of another program
-- or a deletion by hand leaves (BullMQ calls them orphaned). A part of the key space a call.
-- Replies: {cursor, removed id...}; the cursor 0 when all was looked at.
local base_key = KEYS[1] -- start of every key of the queue
local cursor = ARGV[1] -- where the last call stopped; 0 at first
local count = ARGV[2] -- how many keys to look at, about
local pattern = ARGV[3] -- of the queue's keys, as SCAN has it

--- @include "lib/text"
--- @include "lib/queue"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"

local SETS = { 'completed', 'failed', 'delayed', 'prioritized', 'children' }
local LISTS = { 'active', 'wait', 'paused' }
local PARTS = { lock = true, logs = true, dependencies = true, processed = true, failed = true,
  unsuccessful = true }

local keys = queue_keys(base_key)

local function has_state(job_id)
  for _, name in ipairs(SETS) do
    if redis.call('ZSCORE', keys[name], job_id) then
      return true
    end
  end
  for _, name in ipairs(LISTS) do
    if redis.call('LPOS', keys[name], job_id) then
      return true
    end
  end
  return false
end

-- Whether a key holds a job: every engine writes these fields first of all.
local function holds_job(key)
  local fields = is_job(key) and redis.call('HMGET', key, 'name', 'timestamp')
  return fields and fields[1] and fields[2]
end

-- Whether a key belongs to the queue or to a scheduler, whatever its name ends in.
local function is_the_queues(rest)
  for _, start in ipairs({ '^oxcart:', '^metrics:', '^de:', '^dn:' }) do
    if string.find(rest, start) then
      return true
    end
  end
  local scheduler = string.match(rest, '^repeat:(.*)$')
  return scheduler and redis.call('ZSCORE', keys.scheduled, scheduler)
end

local removed = {}

local function look_at(key)
  local rest = string.sub(key, #base_key + 1)
  if is_the_queues(rest) then
    return
  end
  local owner, part = string.match(rest, '^(.*):([^:]*)$')
  if owner and PARTS[part] then
    if redis.call('EXISTS', base_key .. owner) == 0 then
      redis.call('DEL', key)
    end
  elseif holds_job(key) and not has_state(rest) then
    remove_jobs(keys, { rest })
    removed[#removed + 1] = rest
  end
end

local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', count)
for _, key in ipairs(page[2]) do
  look_at(key)
end
table.insert(removed, 1, page[1])
return removed
