-- A child that is run again (wire format, section 8.5). Needs lib/parents.

-- Puts it back among its parent's pending ones.
local function put_child_back(job_key, state)
  local parent = parent_of(job_key)
  if not parent or not is_job(parent.key) then
    return
  end
  local was_settled
  if state == 'completed' then
    was_settled = redis.call('HDEL', parent.key .. ':processed', job_key)
  else
    was_settled = redis.call('ZREM', parent.key .. ':unsuccessful', job_key)
      + redis.call('HDEL', parent.key .. ':failed', job_key)
  end
  if was_settled > 0 then
    redis.call('SADD', parent.key .. ':dependencies', job_key)
  end
end
