-- The jobs of schedulers (wire format, sections 11.1 to 11.3).
-- Needs lib/text, lib/types, lib/events, lib/create and lib/slots.

-- An error reply if a key that schedulers need is wrong; nil if all are right or not there.
local function wrong_scheduler(keys, scheduler_key)
  return refuse_type(keys.scheduled, 'zset') or refuse_type(scheduler_key, 'hash')
    or refuse_type(keys.paused, 'list')
end

-- Which of the queue's sets or lists holds a job that nobody has taken yet; nil if none does.
local function find_waiting(keys, job_id)
  for _, key in ipairs({ keys.delayed, keys.prioritized }) do
    if redis.call('ZSCORE', key, job_id) then
      return { key = key, is_list = false }
    end
  end
  for _, key in ipairs({ keys.wait, keys.paused }) do -- BullMQ 5 sets jobs aside while paused
    if redis.call('LPOS', key, job_id) then
      return { key = key, is_list = true }
    end
  end
  return nil
end

local function leave_waiting(place, job_id)
  if place.is_list then
    redis.call('LREM', place.key, 0, job_id)
  else
    redis.call('ZREM', place.key, job_id)
  end
end

-- A scheduler's job for a slot. Its options come as JSON text up to the time in the job's id, and
-- end here: taken apart and put together again in Lua, they would not stay what they are.
local function new_iteration(scheduler_id, due, now, made_of)
  local delay = math.max(0, due - now)
  local tail = int(due) .. '","timestamp":' .. int(now) .. ',"delay":' .. int(delay)
  if made_of.is_pattern then
    tail = tail .. ',"prevMillis":' .. int(due)
  end
  return {
    id = iteration_id(scheduler_id, due), name = made_of.name, data = made_of.data,
    opts = made_of.opts_head .. tail .. '}', timestamp = now, delay = delay, due = now + delay,
    slot = due, priority = made_of.priority, side = made_of.side, scheduler = scheduler_id,
  }
end

-- Adds a scheduler's job and makes it the pending one.
local function schedule_iteration(keys, job)
  local marks = {}
  redis.call('INCR', keys.id) -- first: it fails on what is not a number, before anything is written
  redis.call('ZADD', keys.scheduled, int(job.slot), job.scheduler)
  create_job(keys, job, marks)
  put_ready(keys, marks, max_events(keys.meta))
end
