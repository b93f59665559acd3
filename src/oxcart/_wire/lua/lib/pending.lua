-- The jobs that schedulers wait for (wire format, section 7.15). Needs lib/jobs and lib/slots.

-- Whether a job is the pending iteration of a living scheduler.
local function is_pending_iteration(repeat_key, job_key, job_id)
  local scheduler = is_job(job_key) and redis.call('HGET', job_key, 'rjk')
  local due = scheduler and redis.call('ZSCORE', repeat_key, scheduler)
  return due and job_id == iteration_id(scheduler, tonumber(due))
end
