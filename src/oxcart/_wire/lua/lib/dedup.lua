-- Deduplication (wire format, section 7.3): one job at a time holds a deduplication id.
-- Needs lib/claim and lib/holder.

-- Whose job it is: nil if the new one may be added, else the holder's id.
local function deduplicate(keys, job, length)
  local dedup = job.dedup
  local key = dedup_key(keys, dedup.id)
  local holder = redis.pcall('GET', key)
  local replaces = dedup.replace and not job.waits
  if type(holder) ~= 'string' then -- another type under the name is no holder
    claim(key, job.id, dedup)
    return nil
  end
  if replaces and replace_holder(keys, key, holder, job, length) then
    return nil
  end
  if is_stale(keys, key, holder) then
    redis.call('DEL', next_key(keys, dedup.id))
    claim(key, job.id, dedup)
    return nil
  end
  if keep_for_later(keys, key, holder, job, length) or replaces then
    return holder
  end
  if dedup.ttl and dedup.extend and not dedup.keep then
    redis.call('SET', key, holder, 'PX', dedup.ttl)
  end
  emit_dropped(keys, length, holder, dedup, job.id)
  if dedup.reschedule then
    reschedule_holder(keys, holder, job, length)
  end
  return holder
end
