-- Prunes a finished set (wire format, section 9). Needs lib/remove.
-- Upstream removes all of an excess in one call and blocks the server; this is bounded, so an
-- excess goes over several finishes.
local prune_left = 1000 -- how many jobs this call may still remove, whatever its runs ask for

local function drop(set_key, keys, job_ids)
  if #job_ids > 0 then
    prune_left = prune_left - #job_ids
    drop_jobs(keys, job_ids)
    redis.call('ZREM', set_key, unpack(job_ids))
  end
end

local function prune_by_age(set_key, keys, age_s, limit, now_ms)
  local oldest = now_ms - age_s * 1000
  drop(set_key, keys, redis.call('ZREVRANGEBYSCORE', set_key, oldest, 0, 'LIMIT', 0, limit))
end

local function prune_by_count(set_key, keys, count)
  local excess = math.min(redis.call('ZCARD', set_key) - count, prune_left)
  if excess > 0 then
    drop(set_key, keys, redis.call('ZRANGE', set_key, 0, excess - 1))
  end
end

local function asks_the_same(one, other)
  return one.keep_count == other.keep_count and one.keep_age == other.keep_age
    and one.keep_limit == other.keep_limit
end

-- Applies what a finished run keeps of its set; -1 sets no limit.
local function prune(set_key, keys, run, now_ms)
  if run.keep_age >= 0 then
    prune_by_age(set_key, keys, run.keep_age, math.min(run.keep_limit, prune_left), now_ms)
  end
  if run.keep_count > 0 then
    prune_by_count(set_key, keys, run.keep_count)
  end
end
