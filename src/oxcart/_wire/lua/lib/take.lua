-- Takes ready jobs (wire format, section 7.4). Needs lib/text and lib/ready.
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

-- Locks one job for a worker; returns its fields, and how often it was taken, now included; or nil
-- where there is no readable hash.
-- Upstream takes such an id all the same and hangs on it; here it leaves the queue.
local function hold(keys, job_id, worker, now_text)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  local fields = redis.pcall('HGETALL', job_key)
  if fields.err or #fields == 0 then
    return nil
  end
  local started
  for at = 1, #fields, 2 do
    if fields[at] == 'ats' then
      started = fields[at + 1]
    end
  end
  started = next_count(started)
  redis.call('SET', job_key .. ':lock', worker.token, 'PX', worker.lock_ms)
  redis.call('XADD', keys.events, '*', 'event', 'active', 'jobId', job_id, 'prev', 'waiting')
  if worker.name == '' then
    redis.call('HSET', job_key, 'processedOn', now_text, 'ats', started)
  else
    redis.call('HSET', job_key, 'processedOn', now_text, 'ats', started, 'pb', worker.name)
  end
  return fields, started
end

-- Returns {id, fields as they were, times taken} for each job taken; ids without a readable job are
-- added to `dropped`.
local function take(keys, count, worker, now, dropped)
  local taken, ids, now_text = {}, {}, int(now)
  for _ = 1, TAKE_ROUNDS do
    local popped = pop_ready(keys, count - #taken)
    for _, job_id in ipairs(popped) do
      local fields, started = hold(keys, job_id, worker, now_text)
      if fields then
        taken[#taken + 1], ids[#ids + 1] = { job_id, fields, started }, job_id
      elseif string.sub(job_id, 1, 2) ~= '0:' then -- old markers of BullMQ 4 go without a word
        dropped[#dropped + 1] = job_id
      end
    end
    if #popped == 0 or #taken == count then
      break
    end
  end
  if #taken > 0 then
    redis.call('LPUSH', keys.active, unpack(ids))
    wake(keys.marker)
  end
  return taken
end
