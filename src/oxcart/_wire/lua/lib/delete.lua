-- Deleting what belongs to a job (wire format, section 1.2). Needs nothing.
local JOB_SUFFIXES = { '', ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }

-- Adds the names of all keys of a job to a list.
local function add_job_keys(names, job_key)
  local size = #names
  for at, suffix in ipairs(JOB_SUFFIXES) do
    names[size + at] = job_key .. suffix
  end
end

-- Deletes all keys of the jobs; returns how many existed.
local function delete_jobs(base, job_ids)
  local deleted = 0
  local names = {}
  for _, job_id in ipairs(job_ids) do
    add_job_keys(names, base .. job_id) -- ids come from the queue's own sets
    if #names > 3000 then
      deleted = deleted + redis.call('DEL', unpack(names))
      names = {}
    end
  end
  if #names > 0 then
    deleted = deleted + redis.call('DEL', unpack(names))
  end
  return deleted
end
