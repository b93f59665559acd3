-- Takes ready jobs (wire format, section 7.4). Needs lib/text and lib/ready.
local TAKE_ROUNDS = 5
-- Bytes of payloads after which a step takes no more: a thin line must carry the reply.
local TAKE_BYTES = 1048576
local FIRST_OF_ITERATIONS = string.byte('repeat:')

-- Pops up to count ids: waiting first, then prioritized. Returns the scores of the latter, by place.
local function pop_ready(keys, count)
  local popped, scores = redis.call('RPOP', keys.wait, count) or {}, {}
  if #popped < count then
    local ranked = redis.call('ZPOPMIN', keys.prioritized, count - #popped)
    for at = 1, #ranked, 2 do
      popped[#popped + 1] = ranked[at]
      scores[#popped] = ranked[at + 1]
    end
  end
  return popped, scores
end

-- Puts ids back where they were popped, from a place on.
local function push_back(keys, popped, scores, first)
  for at = #popped, first, -1 do
    if scores[at] then
      redis.call('ZADD', keys.prioritized, scores[at], popped[at])
    else
      redis.call('RPUSH', keys.wait, popped[at])
    end
  end
end

-- Locks one job for a worker; returns its fields, how often it was taken, now included, and the size
-- of its payload; or nil where there is no readable hash.
-- Upstream takes such an id all the same and hangs on it; here it leaves the queue.
local function hold(keys, job_id, worker, now_text)
  local job_key = keys.base .. job_id -- the id comes from the queue's own lists
  local fields = redis.pcall('HGETALL', job_key)
  if fields.err or #fields == 0 then
    return nil
  end
  local started, size, is_marked = nil, 0, false
  for at = 1, #fields, 2 do
    if fields[at] == 'data' then
      size = #fields[at + 1]
    elseif fields[at] == 'ats' then
      started = fields[at + 1]
    elseif fields[at] == 'ox:alone' then
      is_marked = true
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
  return fields, started, is_marked and TAKE_BYTES or size -- one that is run alone is the last taken
end

-- Returns {id, fields as they were, times taken} for each job taken, and whether more were left
-- because of their size; ids without a readable job are added to `dropped`. `may_follow` is set in the
-- first if schedulers' jobs seem to be among them.
local function take(keys, count, worker, now, dropped)
  local taken, ids, now_text, bytes, is_full = {}, {}, int(now), 0, false
  for _ = 1, TAKE_ROUNDS do
    local popped, scores = pop_ready(keys, count - #taken)
    for at, job_id in ipairs(popped) do
      local fields, started, size = hold(keys, job_id, worker, now_text)
      if fields then
        taken[#taken + 1], ids[#ids + 1] = { job_id, fields, started }, job_id
        bytes = bytes + size
        if string.byte(job_id) == FIRST_OF_ITERATIONS then
          taken.may_follow = true
        end
      elseif string.sub(job_id, 1, 2) ~= '0:' then -- old markers of BullMQ 4 go without a word
        dropped[#dropped + 1] = job_id
      end
      if bytes >= TAKE_BYTES and at < #popped then
        push_back(keys, popped, scores, at + 1)
        is_full = true
        break
      end
    end
    if is_full or #popped == 0 or #taken == count then
      break
    end
  end
  if #taken > 0 then
    redis.call('LPUSH', keys.active, unpack(ids))
    wake(keys.marker)
  end
  return taken, is_full
end
