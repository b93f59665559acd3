-- Making a job and putting it where it belongs (wire format, section 7.1, steps 5 to 7).
-- Needs lib/text, lib/events, lib/ready and lib/delayed.
local MOST_PUSHED = 5000 -- what Lua can unpack is limited

-- Where the job goes. Plain jobs are put into the list, wake-up tokens written and events trimmed by
-- put_ready, once for all jobs of a call.
local function place_job(keys, job, marks)
  if job.waits then
    redis.call('ZADD', keys.children, int(job.timestamp), job.id)
    emit(keys.events, 'waiting-children', 'jobId', job.id)
  elseif job.delay > 0 then
    push_delayed(keys.delayed, job.id, job.due)
    emit(keys.events, 'delayed', 'jobId', job.id, 'delay', int(job.due))
    marks.has_delayed = true
  else
    if job.priority > 0 or job.side ~= 'LPUSH' then
      push_ready(keys.wait, keys.prioritized, keys.counter, job.id, job.priority, job.side)
    else
      marks[#marks + 1] = job.id
    end
    redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', job.id)
    marks.has_ready = true
  end
end

-- A job: id, name, data, opts, timestamp, delay, due, priority, side (see lib/new_job); and, where
-- it has them, waits (for children), parent {key, text}, dedup {id}, scheduler (its id).
local function create_job(keys, job, marks)
  local job_key = keys.base .. job.id
  redis.call('HSET', job_key, 'name', job.name, 'data', job.data, 'opts', job.opts,
    'timestamp', int(job.timestamp), 'delay', int(job.delay), 'priority', int(job.priority))
  if job.parent then
    redis.call('HSET', job_key, 'parentKey', job.parent.key, 'parent', job.parent.text)
  end
  if job.dedup then
    redis.call('HSET', job_key, 'deid', job.dedup.id)
  end
  if job.scheduler then
    redis.call('HSET', job_key, 'rjk', job.scheduler)
  end
  redis.call('XADD', keys.events, '*', 'event', 'added', 'jobId', job.id, 'name', job.name)
  place_job(keys, job, marks)
end

local function put_ready(keys, marks, length)
  redis.call('XTRIM', keys.events, 'MAXLEN', '~', length)
  for from = 1, #marks, MOST_PUSHED do
    local upto = math.min(#marks, from + MOST_PUSHED - 1)
    redis.call('LPUSH', keys.wait, unpack(marks, from, upto))
  end
  if marks.has_ready then
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
  end
  if marks.has_delayed then
    mark_next_due(keys.delayed, keys.marker)
  end
end
