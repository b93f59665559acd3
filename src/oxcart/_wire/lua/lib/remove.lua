-- Removing jobs (wire format, sections 1.2, 7.3, 7.15). Needs lib/queue, lib/jobs, lib/parents
-- and lib/delete.

-- Lets parents go on that waited for the jobs, then deletes them: what retention does.
local function drop_jobs(keys, job_ids)
  for _, job_id in ipairs(job_ids) do
    local job_key = keys.base .. job_id
    local parent = is_job(job_key) and parent_of(job_key)
    if parent then
      unlink_child(parent, job_key)
    end
  end
  return delete_jobs(keys.base, job_ids)
end

-- Gives a deduplication id free that the job holds, and forgets what was kept for later.
local function release_dedup(keys, job_id)
  local job_key = keys.base .. job_id
  local id = is_job(job_key) and redis.call('HGET', job_key, 'deid')
  if id and redis.pcall('GET', dedup_key(keys, id)) == job_id then
    redis.call('DEL', dedup_key(keys, id), next_key(keys, id))
  end
end

-- Removes jobs because somebody asked for it.
local function remove_jobs(keys, job_ids)
  for _, job_id in ipairs(job_ids) do
    release_dedup(keys, job_id)
  end
  return drop_jobs(keys, job_ids)
end
