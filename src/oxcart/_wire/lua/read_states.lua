-- The state of each of a batch of jobs (wire format, section 12.1), as BullMQ's getters say it.
local completed_key = KEYS[1] -- sorted set
local failed_key = KEYS[2] -- sorted set
local delayed_key = KEYS[3] -- sorted set
local prioritized_key = KEYS[4] -- sorted set
local active_key = KEYS[5] -- list
local wait_key = KEYS[6] -- list
local paused_key = KEYS[7] -- list
local children_key = KEYS[8] -- sorted set: parents that wait
local argv = ARGV -- from 1 on: ids

local function state_of(job_id)
  if redis.call('ZSCORE', completed_key, job_id) then return 'completed' end
  if redis.call('ZSCORE', failed_key, job_id) then return 'failed' end
  if redis.call('ZSCORE', delayed_key, job_id) then return 'delayed' end
  if redis.call('ZSCORE', prioritized_key, job_id) then return 'prioritized' end
  if redis.call('LPOS', active_key, job_id) then return 'active' end
  if redis.call('LPOS', wait_key, job_id) then return 'waiting' end
  if redis.call('LPOS', paused_key, job_id) then return 'waiting' end
  if redis.call('ZSCORE', children_key, job_id) then return 'waiting-children' end
  return 'unknown'
end

local states = {}
for at, job_id in ipairs(argv) do
  states[at] = state_of(job_id)
end
return states
