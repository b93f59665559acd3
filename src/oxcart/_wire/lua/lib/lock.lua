-- Proof that a worker holds a job (wire format, section 7). Releases the lock on success.
local LOCK_MISSING, LOCK_MISMATCH = -2, -6

local function release_lock(base, stalled_key, job_id, token)
  if token == '0' then
    return 0
  end
  local lock_key = base .. job_id .. ':lock' -- the job's own key
  local holder = redis.pcall('GET', lock_key) -- another type is another's, and no error
  if holder == token then
    redis.call('DEL', lock_key)
    redis.call('SREM', stalled_key, job_id)
    return 0
  end
  return holder and LOCK_MISMATCH or LOCK_MISSING
end
