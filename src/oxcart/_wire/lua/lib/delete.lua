-- Deleting what belongs to a job (wire format, section 1.2). Needs nothing.
local MORE_SUFFIXES = { ':dependencies', ':unsuccessful', ':logs', ':processed', ':failed' }

-- Adds the names of what few jobs have beside their hash to a list.
local function add_more_keys(names, job_key)
  local size = #names
  for at, suffix in ipairs(MORE_SUFFIXES) do
    names[size + at] = job_key .. suffix
  end
end

-- Adds the names of all keys of a job to a list.
local function add_job_keys(names, job_key)
  names[#names + 1] = job_key
  add_more_keys(names, job_key)
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
