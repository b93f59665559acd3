-- What a child's final failure does to its parent (wire format, section 8.4). Needs lib/parents.

-- Fails a parent through its next worker, without running it.
local function fail_parent(parent, child_key, now)
  local keys = queue_keys(parent.base)
  redis.call('ZADD', parent.key .. ':unsuccessful', now, child_key)
  if not is_job(parent.key) or redis.call('ZSCORE', keys.failed, parent.id) then
    return
  end
  redis.call('HSET', parent.key, 'defa', 'child ' .. child_key .. ' failed')
  if redis.call('ZREM', keys.delayed, parent.id) == 1 then
    redis.call('HSET', parent.key, 'delay', 0)
    redis.call('ZADD', keys.children, now, parent.id) -- released as if it had waited for children
  end
  release_parent(parent, now)
end

-- The first policy that is set counts.
local function child_failed(parent, child_key, reason, now)
  if not (parent.fpof or parent.cpof or parent.idof or parent.rdof)
    or not settle_dependency(parent, child_key) then
    return
  end
  if parent.fpof then
    fail_parent(parent, child_key, now)
  elseif parent.cpof or not has_pending(parent.key) then
    release_parent(parent, now)
  end
  if not parent.fpof and (parent.cpof or parent.idof) then
    redis.call('HSET', parent.key .. ':failed', child_key, reason)
  end
end
