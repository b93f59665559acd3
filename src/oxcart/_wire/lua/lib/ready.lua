-- Making a job available (wire format, sections 4.2, 5 and 7).
local PRIORITY_STEP = 4294967296

-- Whether takes answer nothing: the queue is paused or at its global concurrency.
local function is_blocked(meta_key, active_key)
  local meta = redis.call('HMGET', meta_key, 'paused', 'concurrency')
  if meta[1] then
    return true
  end
  local limit = tonumber(meta[2] or '')
  return limit and redis.call('LLEN', active_key) >= limit
end

local function wake(marker_key)
  redis.call('ZADD', marker_key, 0, '0')
end

local function wake_unless_blocked(meta_key, active_key, marker_key)
  if not is_blocked(meta_key, active_key) then
    wake(marker_key)
  end
end

local function push_prioritized(prioritized_key, counter_key, job_id, priority)
  local turn = redis.call('INCR', counter_key) % PRIORITY_STEP
  redis.call('ZADD', prioritized_key, priority * PRIORITY_STEP + turn, job_id)
end

-- Puts a job where it is taken from before all others of its priority.
local function push_next(keys, job_id, priority)
  if priority > 0 then
    redis.call('ZADD', keys.prioritized, priority * PRIORITY_STEP, job_id)
  else
    redis.call('RPUSH', keys.wait, job_id)
  end
end

-- Puts a job where it will be taken from; side is LPUSH (last) or RPUSH (next).
local function push_ready(wait_key, prioritized_key, counter_key, job_id, priority, side)
  if priority > 0 then
    push_prioritized(prioritized_key, counter_key, job_id, priority)
  else
    redis.call(side, wait_key, job_id)
  end
end
