-- Whether a job is finished, and with what (wire format, section 12.4).
-- Replies: {-1} gone, {0} not yet, {1, return value}, {2, failed reason}.
local job_key = KEYS[1] -- hash
local completed_key = KEYS[2] -- sorted set
local failed_key = KEYS[3] -- sorted set
local job_id = ARGV[1] -- id

if redis.call('EXISTS', job_key) == 0 then
  return { -1 }
end
if redis.call('ZSCORE', completed_key, job_id) then
  return { 1, redis.call('HGET', job_key, 'returnvalue') or 'null' }
end
if redis.call('ZSCORE', failed_key, job_id) then
  return { 2, redis.call('HGET', job_key, 'failedReason') or '' }
end
return { 0 }
