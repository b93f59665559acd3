-- Adding jobs of any kind, as an add gives them.
-- Needs lib/text, lib/new_job and lib/add.

-- Adds the jobs from `first` on of the arguments, whatever they have (see lib/new_job); the reply.
local function add_any_jobs(keys, argv, first, now, length, marks)
  local jobs, has_parents, is_numbered = {}, false, true
  for at = first, #argv, JOB_WIDTH do
    local job = read_new_job(argv, at, now)
    jobs[#jobs + 1], has_parents = job, has_parents or job.parent
    is_numbered = is_numbered and job.id == '' and not job.dedup
  end
  if not has_parents then -- then none is refused, and each takes a number
    marks.numbers, marks.last_number = #jobs, redis.call('INCRBY', keys.id, #jobs)
  end
  local reply = { int(now) }
  for _, job in ipairs(jobs) do
    local refusal = refusal_of(keys, job)
    if refusal then
      reply[#reply + 1], reply[#reply + 2] = job.id, refusal
    else
      reply[#reply + 1], reply[#reply + 2] = add_job(keys, job, now, length, marks, true)
    end
  end
  if is_numbered and not has_parents then
    reply = { int(now), int(marks.last_number - #jobs + 1) }
  end
  return reply
end
