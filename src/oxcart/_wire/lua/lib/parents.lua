-- The tie between a child and its parent (wire format, section 8).
-- Needs lib/queue, lib/text, lib/jobs, lib/events, lib/ready and lib/delayed.

-- A parent by the child's two fields. The text has the policy's flag and names queue and id apart;
-- where it cannot be read, the last ':' of the key is their border.
local function read_parent(parent_key, text)
  if not parent_key then
    return nil
  end
  local can_read, parent = pcall(cjson.decode, text or '')
  if not can_read or type(parent) ~= 'table' then
    parent = {}
  end
  if type(parent.id) ~= 'string' or type(parent.queueKey) ~= 'string' then
    local queue, id = string.match(parent_key, '^(.*):([^:]*)$')
    parent.queueKey, parent.id = queue or parent_key, id or ''
  end
  parent.key, parent.text, parent.base = parent_key, text, parent.queueKey .. ':'
  return parent
end

local function parent_of(job_key)
  local fields = redis.call('HMGET', job_key, 'parentKey', 'parent')
  return read_parent(fields[1], fields[2])
end

local function has_pending(parent_key)
  return redis.call('EXISTS', parent_key .. ':dependencies') == 1
end

-- Makes a parent ready that waits for its children, siblings pending or not (section 8.3).
local function release_parent(parent, now)
  local keys = queue_keys(parent.base)
  if not is_job(parent.key) or redis.call('ZREM', keys.children, parent.id) == 0 then
    return
  end
  local delay = tonumber(redis.call('HGET', parent.key, 'delay') or '') or 0
  if delay > 0 then
    redis.call('ZADD', keys.delayed, (now + delay) * SEQUENCE, parent.id)
    emit(keys.events, 'delayed', 'jobId', parent.id, 'delay', int(now + delay))
    mark_next_due(keys.delayed, keys.marker)
    return
  end
  local priority = priority_of(parent.key)
  push_ready(keys.wait, keys.prioritized, keys.counter, parent.id, priority, 'RPUSH')
  wake_unless_blocked(keys.meta, keys.active, keys.marker)
  emit(keys.events, 'waiting', 'jobId', parent.id, 'prev', 'waiting-children')
end

-- Takes a child out of its parent's pending ones; whether it was there. Of a parent that nobody
-- looked at, the key may be anything: that must not end a removal halfway.
local function settle_dependency(parent, child_key)
  return redis.pcall('SREM', parent.key .. ':dependencies', child_key) == 1
end

local function child_completed(parent, child_key, value, now)
  if settle_dependency(parent, child_key) then
    redis.call('HSET', parent.key .. ':processed', child_key, value)
    if not has_pending(parent.key) then
      release_parent(parent, now)
    end
  end
end

-- Lets go of a child that is removed: the parent does not wait for it any more. The parent's own
-- delay and priority are not looked at (section 7.15).
local function unlink_child(parent, child_key)
  if not settle_dependency(parent, child_key) or has_pending(parent.key) then
    return
  end
  local keys = queue_keys(parent.base)
  if is_job(parent.key) and redis.call('ZREM', keys.children, parent.id) == 1 then
    redis.call('RPUSH', keys.wait, parent.id)
    wake_unless_blocked(keys.meta, keys.active, keys.marker)
    emit(keys.events, 'waiting', 'jobId', parent.id, 'prev', 'waiting-children')
  end
end
