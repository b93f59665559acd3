-- Who holds a deduplication id (wire format, section 7.3). Needs lib/queue and lib/events.

local function claim(key, job_id, dedup)
  if dedup.ttl and not dedup.keep then
    redis.call('SET', key, job_id, 'PX', dedup.ttl)
  else
    redis.call('SET', key, job_id)
  end
end

local function is_stale(keys, key, holder)
  return redis.call('PTTL', key) == -1 and redis.call('EXISTS', keys.base .. holder) == 0
end

local function emit_dropped(keys, length, kept_id, dedup, dropped_id)
  emit_trimmed(keys.events, length, 'deduplicated', 'jobId', kept_id, 'deduplicationId', dedup.id,
    'deduplicatedJobId', dropped_id)
end
