-- Finished jobs a minute (wire format, section 10). Needs lib/text.

-- Counts jobs that finished now; the first of a later minute closes the points before it.
local function count_finished(base, state, count, size, now)
  local metrics_key = base .. 'metrics:' .. state -- the queue's own, like the list beside it
  local data_key = metrics_key .. ':data'
  local before = redis.call('HINCRBY', metrics_key, 'count', count) - count
  local earlier = redis.call('HMGET', metrics_key, 'prevTS', 'prevCount')
  local previous = tonumber(earlier[1] or '')
  if not previous then
    redis.call('HSET', metrics_key, 'prevTS', int(now), 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(now / 60000) - math.floor(previous / 60000), size)
  if minutes <= 0 then
    return
  end
  redis.call('LPUSH', data_key, int(before - (tonumber(earlier[2] or '') or 0)))
  for _ = 2, minutes do
    redis.call('LPUSH', data_key, 0)
  end
  redis.call('LTRIM', data_key, 0, size - 1)
  redis.call('HSET', metrics_key, 'prevCount', int(before), 'prevTS', int(now))
end

-- Figures that somebody made something else of are not counted on: the runs have ended by now.
local function count_ends(base, ended, size, now)
  if ended.completed > 0 then
    pcall(count_finished, base, 'completed', ended.completed, size, now)
  end
  if ended.failed > 0 then
    pcall(count_finished, base, 'failed', ended.failed, size, now)
  end
end
