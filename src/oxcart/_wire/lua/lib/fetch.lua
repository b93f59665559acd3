-- What a worker gets when it asks for jobs (wire format, section 7.4).
-- Needs lib/events, lib/ready, lib/delayed, lib/promote, lib/limit, lib/intervals and lib/take.

-- How many jobs may be taken: none while paused, no more than the global concurrency leaves.
local function allowance(keys, count, is_paused, concurrency)
  if is_paused then
    return 0
  end
  local limit = tonumber(concurrency or '')
  if limit then
    limit = math.ceil(limit)
    return math.min(count, math.max(0, limit - redis.call('LLEN', keys.active)))
  end
  return count
end

-- How many jobs are run: those with a deferred failure are failed instead, and no limit counts them.
local function to_be_run(taken)
  local count = 0
  for _, job in ipairs(taken) do
    local is_deferred = false
    for at = 1, #job[2], 2 do
      is_deferred = is_deferred or job[2][at] == 'defa'
    end
    count = count + (is_deferred and 0 or 1)
  end
  return count
end

-- Promotes what is due, then takes up to count jobs.
-- Returns the jobs, whether the queue gave all it may, the next due ms if it has no more ready, for
-- how many ms the rate limit holds the rest back (0: it does not), and whether the size of the jobs
-- did not let it take more.
local function fetch(keys, count, worker, now, dropped)
  promote_due(keys, now, dropped)
  local meta = redis.call('HMGET', keys.meta, 'paused', 'concurrency', 'max', 'duration')
  local max, window = limit_of(meta[3], meta[4], worker)
  local unlimited = admitted(keys, count, max)
  local allowed = math.min(unlimited, allowance(keys, count, meta[1], meta[2]))
  local taken, is_full, limited_ms = {}, false, 0
  if allowed > 0 then
    taken, is_full = take(keys, allowed, worker, now, dropped)
    if taken.may_follow then
      follow_all_taken(keys, taken, now)
    end
    if max then
      count_started(keys, to_be_run(taken), window)
    end
  end
  if is_full then
    return taken, false, nil, 0, true
  end
  if unlimited < count and #taken >= unlimited then
    limited_ms = math.max(0, redis.call('PTTL', keys.limiter))
  end
  if #taken == allowed then
    return taken, allowed < count and limited_ms == 0, nil, limited_ms, false
  end
  if redis.call('EXISTS', keys.wait, keys.prioritized) == 0 then
    redis.call('DEL', keys.counter)
  else
    wake(keys.marker) -- too many unreadable ids in a row: whoever looks next goes on
  end
  return taken, false, next_due(keys.delayed), 0, false
end
