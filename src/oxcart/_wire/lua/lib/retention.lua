-- Prunes a finished set (wire format, section 9). Needs lib/remove.
-- Upstream removes all of an excess in one call and blocks the server; this is bounded, so an
-- excess goes over several finishes.
local PRUNE_LIMIT = 1000

local function drop(set_key, base, job_ids)
  if #job_ids > 0 then
    delete_jobs(base, job_ids)
    redis.call('ZREM', set_key, unpack(job_ids))
  end
end

local function prune_by_age(set_key, base, age_s, limit, now_ms)
  local oldest = now_ms - age_s * 1000
  drop(set_key, base, redis.call('ZREVRANGEBYSCORE', set_key, oldest, 0, 'LIMIT', 0, limit))
end

local function prune_by_count(set_key, base, count)
  local excess = redis.call('ZCARD', set_key) - count
  if excess > 0 then
    local stop = math.min(excess, PRUNE_LIMIT) - 1
    drop(set_key, base, redis.call('ZRANGE', set_key, 0, stop))
  end
end

-- count -1 and age -1 set no limit.
local function prune(set_key, base, count, age_s, limit, now_ms)
  if age_s >= 0 then
    prune_by_age(set_key, base, age_s, math.min(limit, PRUNE_LIMIT), now_ms)
  end
  if count > 0 then
    prune_by_count(set_key, base, count)
  end
end
