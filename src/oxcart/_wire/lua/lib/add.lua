-- Adding one job (wire format, sections 7.1 and 7.2).
-- Needs lib/queue, lib/text, lib/types, lib/jobs, lib/events, lib/create, lib/parents, lib/remove and
-- lib/dedup.
local ADDED, EXISTS_ALREADY, DEDUPLICATED = 1, 0, 2
local PARENT_MISSING, PARENT_CONFLICT, PARENT_UNSOUND = -5, -7, -101

-- Why a job cannot be added, if so; nothing is written before this is known. `is_inner`: the parent
-- is made by the same insert.
local function refusal_of(keys, job, is_inner)
  if not job.parent then
    return nil
  end
  if not is_inner and not is_job(job.parent.key) then
    return PARENT_MISSING
  end
  if not is_sound(job.parent) then
    return PARENT_UNSOUND
  end
  local own_key = job.id ~= '' and keys.base .. job.id
  if own_key and not is_type(own_key, 'hash') then
    return PARENT_UNSOUND
  end
  local other = own_key and is_job(own_key) and redis.call('HGET', own_key, 'parentKey')
  if other and other ~= job.parent.key and redis.call('EXISTS', other) == 1 then
    return PARENT_CONFLICT
  end
end

-- Makes a job that is there already a child.
local function adopt(keys, job, now, releases)
  local job_key, parent = keys.base .. job.id, job.parent
  if redis.call('ZSCORE', keys.completed, job.id) then
    local value = redis.call('HGET', job_key, 'returnvalue') or 'null'
    redis.call('HSET', parent.key .. ':processed', job_key, value)
    if releases and not has_pending(parent.key) then
      release_parent(parent, now)
    end
  else
    redis.call('SADD', parent.key .. ':dependencies', job_key)
  end
  redis.call('HSET', job_key, 'parentKey', parent.key, 'parent', parent.text)
end

-- The queue's next number: of those that marks hold ready for the call, or the counter's.
local function take_number(keys, marks)
  if (marks.numbers or 0) == 0 then
    return redis.call('INCR', keys.id)
  end
  marks.numbers = marks.numbers - 1
  return marks.last_number - marks.numbers
end

-- Adds a job that refusal_of has nothing against. `releases`: a parent all of whose children are
-- completed already goes on at once; in a flow it waits for the rest of the insert.
-- Returns the id of the job that is there now, and what became of the add.
local function add_job(keys, job, now, length, marks, releases)
  local counted = take_number(keys, marks)
  if job.id == '' then
    job.id = int(counted)
  elseif redis.call('EXISTS', keys.base .. job.id) == 1 then
    if job.parent then
      adopt(keys, job, now, releases)
    end
    emit_trimmed(keys.events, length, 'duplicated', 'jobId', job.id)
    return job.id, EXISTS_ALREADY
  end
  local holder = job.dedup and deduplicate(keys, job, length)
  if holder then
    return holder, DEDUPLICATED
  end
  create_job(keys, job, marks)
  if job.parent then
    redis.call('SADD', job.parent.key .. ':dependencies', keys.base .. job.id)
  end
  return job.id, ADDED
end
