-- Removing a job with its descendants (wire format, section 7.15).
-- Needs lib/queue, lib/jobs, lib/events, lib/parents, lib/remove and lib/leave.
local KINDS = {
  { ':processed', 'HKEYS' }, { ':failed', 'HKEYS' }, { ':unsuccessful', 'ZRANGE' },
  { ':dependencies', 'SMEMBERS' },
}
local MOST_DESCENDANTS = 10000 -- one call must not hold the server for long

local function members_of(key, command)
  if command == 'ZRANGE' then
    return redis.call(command, key, 0, -1)
  end
  return redis.call(command, key)
end

-- A job by its full key: the last ':' is the id's border, or it is a scheduler's.
local function job_at(job_key)
  local queue, id = string.match(job_key, '^(.-:[^:]+):(repeat:.+:%d+)$')
  if not queue then
    queue, id = string.match(job_key, '^(.*):([^:]*)$')
  end
  return queue and { key = job_key, base = queue .. ':', id = id }
end

-- Whether a job is still the child that its parent knows: once a settled child is gone, its id may
-- be another job's.
local function is_child(child_key, parent_key)
  return is_job(child_key) and redis.call('HGET', child_key, 'parentKey') == parent_key
end

-- Adds a job's descendants to `found`, each after its own; false if there are too many for one call.
local function find_descendants(job_key, found, seen)
  for _, kind in ipairs(KINDS) do
    for _, child_key in ipairs(members_of(job_key .. kind[1], kind[2])) do
      local child = not seen[child_key] and is_child(child_key, job_key) and job_at(child_key)
      if child then
        seen[child_key] = true
        if not find_descendants(child_key, found, seen) then
          return false
        end
        found[#found + 1] = child
      end
    end
  end
  return #found <= MOST_DESCENDANTS
end

-- The descendants of a job, each after its own; nil if there are too many for one call.
local function descendants_of(job_key)
  local found = {}
  return find_descendants(job_key, found, { [job_key] = true }) and found or nil
end

-- Whether a worker runs one of the jobs.
local function has_locked(jobs)
  for _, job in ipairs(jobs) do
    if redis.call('EXISTS', job.key .. ':lock') == 1 then
      return true
    end
  end
  return false
end

-- Removes one job wherever it is; `left` is the list that it was in, if it left one already.
-- Event: removed, if it was there.
local function remove_anywhere(job, left)
  local keys = queue_keys(job.base)
  local parent = is_job(job.key) and parent_of(job.key)
  if parent then
    unlink_child(parent, job.key)
  end
  local state = left or leave_state(keys, job.id)
  if remove_jobs(keys, { job.id }) > 0 then
    emit_trimmed(keys.events, max_events(keys.meta), 'removed', 'jobId', job.id, 'prev', state)
  end
end

-- Removes jobs, each after its descendants.
local function remove_family(jobs)
  local left = leave_lists(jobs)
  for _, job in ipairs(jobs) do
    remove_anywhere(job, left[job.key])
  end
end
