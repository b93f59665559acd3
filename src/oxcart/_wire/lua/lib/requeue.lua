-- What a job that held a deduplication id leaves behind when it ends (wire format, section 7.3).
-- Needs lib/queue, lib/text, lib/events, lib/create, lib/parents and lib/claim.

-- A job that was kept for later, from its hash.
local function read_kept(fields, now)
  local can_read, options = pcall(cjson.decode, fields.opts or '')
  if not can_read or type(options) ~= 'table' then
    options = {}
  end
  local delay = tonumber(options.delay) or 0
  return {
    id = fields.jid, name = fields.name or '', data = fields.data or '{}', opts = fields.opts or '{}',
    timestamp = now, delay = delay, due = now + delay, priority = tonumber(options.priority) or 0,
    side = options.lifo == true and 'RPUSH' or 'LPUSH', scheduler = fields.rjk,
    parent = read_parent(fields.pk, fields.pd), deduplication = options.de,
  }
end

-- Makes the job that was kept while the holder ran, which then holds the id.
local function requeue_kept(keys, dedup_id, now, length)
  local later_key = next_key(keys, dedup_id)
  local flat = redis.call('HGETALL', later_key)
  local fields = {}
  for at = 1, #flat, 2 do
    fields[flat[at]] = flat[at + 1]
  end
  redis.call('DEL', later_key)
  if not fields.jid or redis.call('EXISTS', keys.base .. fields.jid) == 1 then
    return
  end
  local job, marks = read_kept(fields, now), {}
  local dedup = type(job.deduplication) == 'table' and job.deduplication or {}
  job.dedup = { id = dedup_id }
  redis.call('INCR', keys.id)
  local ttl = math.floor(tonumber(dedup.ttl) or 0)
  local terms = { ttl = ttl > 0 and int(ttl), keep = dedup.keepLastIfActive }
  claim(dedup_key(keys, dedup_id), job.id, terms)
  create_job(keys, job, marks)
  if fields.pdk then
    redis.pcall('SADD', fields.pdk, keys.base .. job.id)
  end
  put_ready(keys, marks, length)
end

-- The id is free again, unless it is held for a time; and the job kept for later is made.
local function end_dedup(keys, dedup_id, job_id, now)
  local key = dedup_key(keys, dedup_id)
  -- Another type under the name is no holder, and no error: the job has left active by now.
  if redis.call('PTTL', key) == -1 and redis.pcall('GET', key) == job_id then
    redis.call('DEL', key)
  end
  if is_job(next_key(keys, dedup_id)) then
    requeue_kept(keys, dedup_id, now, max_events(keys.meta))
  end
end
