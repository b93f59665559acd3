-- Forgets that workers could not run a job: one that can is running it. Reply: 0.
local job_key = KEYS[1] -- hash
local unknown_key = KEYS[2] -- sorted set: ids of jobs that were put back as unknown
local job_id = ARGV[1] -- id

redis.call('HDEL', job_key, 'ox:unknown')
redis.call('ZREM', unknown_key, job_id)
return 0
