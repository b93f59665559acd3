-- Active jobs without a lock, and how each of them ran, as far as it can be known. Needs nothing.

-- The jobs among those given that have no lock, each {id, the name of its worker or false}.
local function unlocked(base, job_ids)
  local found = {}
  for _, job_id in ipairs(job_ids) do
    local job_key = base .. job_id -- the id comes from the queue's own set
    if redis.call('EXISTS', job_key .. ':lock') == 0 then
      local name = redis.pcall('HGET', job_key, 'pb')
      found[#found + 1] = { id = job_id, worker = type(name) == 'string' and name }
    end
  end
  return found
end

-- The names of the registered workers with a heartbeat since the given time.
local function living_names(workers_key, beats_key, since)
  local names = {}
  for _, holder in ipairs(redis.call('ZRANGEBYSCORE', beats_key, since, '+inf')) do
    local can_read, record = pcall(cjson.decode, redis.call('HGET', workers_key, holder) or '')
    if can_read and type(record) == 'table' and record.name then
      names[record.name] = true
    end
  end
  return names
end

-- How each job ran, for lib/recover. BullMQ's workers have no name unless they are given one: each of
-- their jobs counts, as BullMQ counts it.
local function how_they_ran(suspects, living)
  local counts, ran = {}, {}
  for _, suspect in ipairs(suspects) do
    local name = suspect.worker
    counts[name] = name and (counts[name] or 0) + 1
  end
  for at, suspect in ipairs(suspects) do
    local name = suspect.worker
    ran[at] = not name and 'alone' or living[name] and 'apart' or counts[name] > 1 and 'beside' or 'alone'
  end
  return ran
end
