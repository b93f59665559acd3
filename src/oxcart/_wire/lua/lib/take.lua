-- Takes ready jobs (wire format, section 7.4). Needs lib/text, lib/events and lib/ready.
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
local function hold(keys, job_id, worker, now_text)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  local fields = redis.pcall('HGETALL', job_key)
  local size = #fields
  if fields.err or size == 0 then
    return nil
  end
  local started
  for at = 1, size, 2 do
    started = fields[at] == 'ats' and fields[at + 1] or started
  end
  started = next_count(started)
  redis.call('SET', job_key .. ':lock', worker.token, 'PX', worker.lock_ms)
  emit(keys.events, 'active', 'jobId', job_id, 'prev', 'waiting')
  -- The reader takes the last value of a field.
  fields[size + 1], fields[size + 2] = 'processedOn', now_text
  fields[size + 3], fields[size + 4] = 'ats', started
  if worker.name == '' then
    redis.call('HSET', job_key, 'processedOn', now_text, 'ats', started)
  else
    redis.call('HSET', job_key, 'processedOn', now_text, 'ats', started, 'pb', worker.name)
    fields[size + 5], fields[size + 6] = 'pb', worker.name
  end
  return fields
end

-- Returns {id, fields} for each job taken; ids without a readable job are added to `dropped`.
local function take(keys, count, worker, now, dropped)
  local taken, ids, now_text = {}, {}, int(now)
  for _ = 1, TAKE_ROUNDS do
    local popped = pop_ready(keys, count - #taken)
    for _, job_id in ipairs(popped) do
      local fields = hold(keys, job_id, worker, now_text)
      if fields then
        taken[#taken + 1], ids[#ids + 1] = { job_id, fields }, job_id
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
