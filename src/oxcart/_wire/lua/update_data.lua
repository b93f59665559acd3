-- Replaces a job's data (wire format, section 7.16). Replies: 0, or -1 if the job is gone.
local job_key = KEYS[1] -- hash
local data = ARGV[1] -- JSON

if redis.call('EXISTS', job_key) == 0 then
  return -1
end
redis.call('HSET', job_key, 'data', data)
return 0
