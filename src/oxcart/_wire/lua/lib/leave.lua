-- Taking jobs out of whatever state holds them. Needs lib/queue.
local SETS = { 'completed', 'children', 'delayed', 'failed', 'prioritized' }
local LISTS = { 'wait', 'paused', 'active' }
local MANY = 20 -- more jobs of a queue than this are looked for in its lists all at once
local CHUNK = 5000

-- Takes the id out of the state that holds it; returns the state's name in events.
local function leave_state(keys, job_id)
  for _, name in ipairs(SETS) do
    if redis.call('ZREM', keys[name], job_id) == 1 then
      return name == 'children' and 'waiting-children' or name
    end
  end
  for _, name in ipairs(LISTS) do
    if redis.call('LREM', keys[name], -1, job_id) > 0 then -- a released parent is at this end
      return name
    end
  end
  return 'unknown'
end

-- Takes ids out of a list in one pass; notes in `left` which list each was in.
local function thin_out(keys, name, wanted, left)
  local ids, kept = redis.call('LRANGE', keys[name], 0, -1), {}
  for _, job_id in ipairs(ids) do
    if wanted[job_id] then
      left[keys.base .. job_id] = name
    else
      kept[#kept + 1] = job_id
    end
  end
  if #kept == #ids then
    return
  end
  redis.call('DEL', keys[name])
  for at = 1, #kept, CHUNK do
    redis.call('RPUSH', keys[name], unpack(kept, at, math.min(at + CHUNK - 1, #kept)))
  end
end

-- Takes the jobs of a queue that are many out of its lists: an LREM each would read a list that
-- often. Returns which list each was in, by the job's key.
local function leave_lists(jobs)
  local queues, left = {}, {}
  for _, job in ipairs(jobs) do
    local queue = queues[job.base] or { wanted = {}, count = 0 }
    queue.wanted[job.id], queue.count = true, queue.count + 1
    queues[job.base] = queue
  end
  for base, queue in pairs(queues) do
    for _, name in ipairs(queue.count > MANY and LISTS or {}) do
      thin_out(queue_keys(base), name, queue.wanted, left)
    end
  end
  return left
end
