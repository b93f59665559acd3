-- Removing jobs' keys (wire format, section 1.2). Needs lib/jobs.
local JOB_SUFFIXES = { '', ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }

-- Deletes all keys of the jobs; returns how many existed.
local function delete_jobs(base, job_ids)
  local deleted = 0
  local names = {}
  for _, job_id in ipairs(job_ids) do
    for _, suffix in ipairs(JOB_SUFFIXES) do
      names[#names + 1] = base .. job_id .. suffix -- ids come from the queue's own sets
    end
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

-- Whether a job is the pending iteration of a living scheduler (section 7.15).
local function is_pending_iteration(repeat_key, job_key, job_id)
  local scheduler = is_job(job_key) and redis.call('HGET', job_key, 'rjk')
  if not scheduler then
    return false
  end
  local due = redis.call('ZSCORE', repeat_key, scheduler)
  return due and job_id == 'repeat:' .. scheduler .. ':' .. string.format('%.0f', tonumber(due))
end
