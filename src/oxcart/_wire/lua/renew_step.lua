-- Renews the locks of the jobs that a worker's last step took, while its reply is under way to the
-- worker (wire format, section 7.10), and remembers that step for longer.
-- Replies: how many locks there are, or -1 if another step, or none, is remembered; a missing lock is
--   not made again.
local base_key = KEYS[1] -- start of every job's key
local replay_key = KEYS[2] -- string: the packed outcome of this worker's last step
local stalled_key = KEYS[3] -- set
local sequence = ARGV[1] -- number of the step
local lock_ms = ARGV[2] -- how long the locks last from now
local replay_ms = ARGV[3] -- how long the step is remembered from now

local packed = redis.call('GET', replay_key)
local last = packed and cmsgpack.unpack(packed)
if not last or last[1] ~= sequence then
  return -1
end
local count = 0
for _, job_id in ipairs(last[3]) do
  local lock_key = base_key .. job_id .. ':lock' -- the job's own key
  if redis.pcall('GET', lock_key) == last[4] then -- another type is not ours, and no error
    redis.call('PEXPIRE', lock_key, lock_ms)
    redis.call('SREM', stalled_key, job_id)
    count = count + 1
  end
end
redis.call('PEXPIRE', replay_key, replay_ms)
return count
