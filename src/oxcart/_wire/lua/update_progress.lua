-- Keeps a job's progress (wire format, section 7.16). Replies: 0, or -1 if the job is gone.
-- Event: progress.
local job_key = KEYS[1] -- hash
local meta_key = KEYS[2] -- hash
local events_key = KEYS[3] -- stream
local job_id = ARGV[1] -- id
local progress = ARGV[2] -- JSON

--- @include "lib/events"

if redis.call('EXISTS', job_key) == 0 then
  return -1
end
redis.call('HSET', job_key, 'progress', progress)
emit_trimmed(events_key, max_events(meta_key), 'progress', 'jobId', job_id, 'data', progress)
return 0
