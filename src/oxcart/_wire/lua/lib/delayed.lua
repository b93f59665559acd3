-- The delayed set (wire format, sections 4.1 and 5). A score is due * 4096 plus a sequence.
local SEQUENCE = 4096

local function push_delayed(delayed_key, job_id, due_ms)
  local low = due_ms * SEQUENCE
  local high = low + SEQUENCE - 1
  local last = redis.call('ZREVRANGEBYSCORE', delayed_key, high, low, 'WITHSCORES', 'LIMIT', 0, 1)
  local score = low
  if last[2] then
    score = math.min(tonumber(last[2]) + 1, high)
  end
  redis.call('ZADD', delayed_key, score, job_id)
end

-- The score in a reply of the earliest delayed job as ms, with a fraction; nil if there is none, or
-- it is never due.
local function next_due_of(first)
  local score = first[2] and tonumber(first[2])
  if not score or score == math.huge then
    return nil
  end
  return score / SEQUENCE
end

local function next_due(delayed_key)
  return next_due_of(redis.call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES'))
end

local function mark_next_due(delayed_key, marker_key)
  local due = next_due(delayed_key)
  if due then
    redis.call('ZADD', marker_key, due, '1')
  end
end
