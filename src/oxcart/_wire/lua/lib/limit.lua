-- Rate limits (wire format, sections 7.4 and 7.13).
-- A manual limit is honoured by every worker of ours; upstream's workers look at it only if they
-- know a maximum.
local MANUAL_LIMIT = 9007199254740991

-- The maximum and the window in ms; nothing without both. The queue's own maximum (as its meta hash
-- has it) goes before the worker's, the window the other way round. Anybody may have written
-- fractions: 2.5 jobs are reached with the third.
local function limit_of(own_max, own_window, worker)
  local max = tonumber(own_max or '') or worker.limit_max
  local window = worker.limit_ms or tonumber(own_window or '')
  if max and window then
    return math.max(0, math.ceil(max)), int(math.min(math.max(1, math.floor(window)), MANUAL_LIMIT))
  end
end

-- How many of count jobs may be started now.
local function admitted(keys, count, max)
  local started = tonumber(redis.call('GET', keys.limiter) or '') or 0
  if started < MANUAL_LIMIT and not (max and started >= max) then
    return max and math.min(count, max - started) or count
  end
  if redis.call('PTTL', keys.limiter) > 0 then
    return 0
  end
  redis.call('DEL', keys.limiter) -- over, or left without an expiry by a worker without a window
  return max and math.min(count, max) or count
end

-- Counts started jobs; a window opens with its first.
local function count_started(keys, count, window)
  local started = count > 0 and redis.pcall('INCRBY', keys.limiter, count)
  if type(started) == 'table' then -- no number: the jobs are taken by now
    redis.call('SET', keys.limiter, count, 'PX', window)
  elseif started == count then
    redis.call('PEXPIRE', keys.limiter, window)
  end
end

-- Holds all takes back for a time; a longer limit that stands already stays.
local function limit_manually(keys, given_ms)
  local for_ms = math.max(1, given_ms) -- the job is given back by now
  local standing = redis.call('GET', keys.limiter)
  if tonumber(standing or '') ~= MANUAL_LIMIT or redis.call('PTTL', keys.limiter) < for_ms then
    redis.call('SET', keys.limiter, int(MANUAL_LIMIT), 'PX', int(for_ms))
  end
end
