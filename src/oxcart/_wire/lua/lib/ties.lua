-- What a job's end reaches beyond the job (wire format, section 7.5). Needs lib/types, lib/jobs and
-- lib/parents.
local JOB_MISSING, WRONG_TYPE = -1, -101
local PENDING_CHILDREN, FAILED_CHILDREN = -4, -9

-- What the job's end reaches beyond its own queue; refused before anything is written if a key
-- there is not what it should be.
local function ties_of(run)
  if not is_job(run.key) then
    return nil, JOB_MISSING
  end
  local fields = redis.call('HMGET', run.key, 'parentKey', 'parent', 'deid', 'defa')
  local ties = {
    parent = read_parent(fields[1], fields[2]), dedup = fields[3], has_deferred = fields[4],
  }
  if ties.parent and not is_sound(ties.parent) then
    return nil, WRONG_TYPE
  end
  return ties, 0
end

-- Why a job cannot complete because of its own children, if so.
local function children_code(job_key)
  if redis.call('EXISTS', job_key .. ':dependencies', job_key .. ':unsuccessful') == 0 then
    return 0
  end
  return has_pending(job_key) and PENDING_CHILDREN or FAILED_CHILDREN
end
