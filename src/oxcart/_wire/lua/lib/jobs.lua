-- Looking at jobs that anybody may have written: nothing here raises because of one job.

-- Whether a job is there and readable; another type under its name would end the script halfway.
local function is_job(job_key)
  return redis.call('TYPE', job_key).ok == 'hash'
end

local function priority_of(job_key)
  return tonumber(redis.call('HGET', job_key, 'priority')) or 0
end

-- Adds one to a counter field; one that holds no number starts anew.
local function count_up(job_key, field)
  local count = redis.pcall('HINCRBY', job_key, field, 1)
  if type(count) == 'number' then
    return count
  end
  redis.call('HSET', job_key, field, 1)
  return 1
end
