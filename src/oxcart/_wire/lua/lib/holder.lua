-- What an add with a taken deduplication id does to the holder (wire format, section 7.3).
-- Needs lib/claim and lib/remove.

-- Keeps a job aside for when the holder, which is running, ends; whether it did.
local function keep_for_later(keys, key, holder, job, length)
  if not job.dedup.keep or not redis.call('LPOS', keys.active, holder) then
    return false
  end
  local later = next_key(keys, job.dedup.id)
  redis.call('DEL', later)
  redis.call('HSET', later, 'name', job.name, 'data', job.data, 'opts', job.opts, 'jid', job.id)
  if job.parent then
    redis.call('HSET', later, 'pk', job.parent.key, 'pd', job.parent.text,
      'pdk', job.parent.key .. ':dependencies')
  end
  redis.call('PERSIST', key)
  emit_dropped(keys, length, holder, job.dedup, job.id)
  return true
end

-- Replaces a holder that is delayed; whether it was.
local function replace_holder(keys, key, holder, job, length)
  local dedup = job.dedup
  if redis.call('ZREM', keys.delayed, holder) == 0 then
    return false
  end
  drop_jobs(keys, { holder })
  emit(keys.events, 'removed', 'jobId', holder, 'prev', 'delayed')
  emit_dropped(keys, length, job.id, dedup, holder)
  redis.call('DEL', next_key(keys, dedup.id))
  if dedup.ttl and not dedup.extend and not dedup.keep then
    redis.call('SET', key, job.id, 'KEEPTTL')
  else
    claim(key, job.id, dedup)
  end
  return true
end

-- Moves a holder that is delayed to when the dropped job would have been due.
local function reschedule_holder(keys, holder, job, length)
  if redis.call('ZREM', keys.delayed, holder) == 0 then
    return
  end
  redis.call('HSET', keys.base .. holder, 'delay', int(job.delay))
  push_delayed(keys.delayed, holder, job.due)
  emit_trimmed(keys.events, length, 'delayed', 'jobId', holder, 'delay', int(job.due))
  mark_next_due(keys.delayed, keys.marker)
end
