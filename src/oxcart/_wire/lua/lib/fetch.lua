-- What a worker gets when it asks for jobs (wire format, section 7.4).
-- Needs lib/events, lib/ready, lib/delayed, lib/promote, lib/take.

-- How many jobs may be taken: none while paused, no more than the global concurrency leaves.
local function allowance(keys, count)
  local meta = redis.call('HMGET', keys.meta, 'paused', 'concurrency')
  if meta[1] then
    return 0
  end
  local limit = tonumber(meta[2] or '')
  if limit then
    return math.min(count, math.max(0, limit - redis.call('LLEN', keys.active)))
  end
  return count
end

-- Promotes what is due, then takes up to count jobs.
-- Returns the jobs, whether the queue gave all it may, and the next due ms if it has no more ready.
local function fetch(keys, count, worker, now, dropped)
  promote_due(keys, now, dropped)
  local allowed = allowance(keys, count)
  local taken = {}
  if allowed > 0 then
    taken = take(keys, allowed, worker, now, dropped)
  end
  if #taken == allowed then
    return taken, allowed < count, nil
  end
  if redis.call('EXISTS', keys.wait, keys.prioritized) == 0 then
    redis.call('DEL', keys.counter)
  else
    wake(keys.marker) -- too many unreadable ids in a row: whoever looks next goes on
  end
  return taken, false, next_due(keys.delayed)
end
