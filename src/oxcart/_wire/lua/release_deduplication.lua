-- Frees a deduplication id if the job holds it (wire format, section 7.3). Replies: 1 freed, 0 not.
local dedup_key = KEYS[1] -- string: the holder's id
local job_id = ARGV[1] -- whose it must be

if redis.call('GET', dedup_key) ~= job_id then
  return 0
end
return redis.call('DEL', dedup_key)
