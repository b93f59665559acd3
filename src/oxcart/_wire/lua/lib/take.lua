-- Takes ready jobs (wire format, section 7.4). Needs lib/events, lib/ready, lib/delayed.
local TAKE_ROUNDS = 5

-- Pops up to count ids: waiting first, then prioritized.
local function pop_ready(keys, count)
  local popped = redis.call('RPOP', keys.wait, count) or {}
  if #popped < count then
    local ranked = redis.call('ZPOPMIN', keys.prioritized, count - #popped)
    for at = 1, #ranked, 2 do
      popped[#popped + 1] = ranked[at]
    end
  end
  return popped
end

-- Locks one job for a worker; returns its fields, or nil where there is no readable hash.
-- Upstream takes such an id all the same and hangs on it; here it leaves the queue.
local function hold(keys, job_id, worker, now)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  local fields = redis.pcall('HGETALL', job_key)
  if fields.err or #fields == 0 then
    return nil
  end
  redis.call('SET', job_key .. ':lock', worker.token, 'PX', worker.lock_ms)
  redis.call('LPUSH', keys.active, job_id)
  emit(keys.events, 'active', 'jobId', job_id, 'prev', 'waiting')
  if worker.name == '' then
    redis.call('HSET', job_key, 'processedOn', int(now))
  else
    redis.call('HSET', job_key, 'processedOn', int(now), 'pb', worker.name)
  end
  redis.call('HINCRBY', job_key, 'ats', 1)
  return fields
end

-- How many jobs may be taken: none while paused, no more than the global concurrency leaves.
local function allowance(keys, count)
  local meta = redis.call('HMGET', keys.meta, 'paused', 'concurrency')
  if meta[1] then
    return 0
  end
  if meta[2] then
    return math.min(count, math.max(0, tonumber(meta[2]) - redis.call('LLEN', keys.active)))
  end
  return count
end

-- Returns {id, fields} for each job taken, and the ids that were dropped.
local function take(keys, count, worker, now)
  local taken, dropped = {}, {}
  for _ = 1, TAKE_ROUNDS do
    local popped = pop_ready(keys, count - #taken)
    for _, job_id in ipairs(popped) do
      local fields = hold(keys, job_id, worker, now)
      if fields then
        taken[#taken + 1] = { job_id, fields }
      elseif string.sub(job_id, 1, 2) ~= '0:' then -- old markers of BullMQ 4 go without a word
        dropped[#dropped + 1] = job_id
      end
    end
    if #popped == 0 or #taken == count then
      break
    end
  end
  if #taken > 0 then
    wake(keys.marker)
  end
  return taken, dropped
end
