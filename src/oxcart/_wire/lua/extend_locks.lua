-- Renews the locks of running jobs (wire format, section 7.10).
-- Only by commands that a server whose memory is full still takes: with SET, every job that runs longer
-- than its lock would be lost.
-- Replies: the ids whose lock is not ours any more; a missing lock is not made again.
local base_key = KEYS[1] -- start of every job's key
local stalled_key = KEYS[2] -- set
local lock_ms = ARGV[1] -- how long the locks last from now
local argv = ARGV -- from 2 on, a job: id, token

local FIRST, WIDTH = 2, 2

local lost = {}
for at = FIRST, #argv, WIDTH do
  local job_id = argv[at]
  local lock_key = base_key .. job_id .. ':lock' -- the job's own key
  if redis.pcall('GET', lock_key) == argv[at + 1] then -- another type is not ours, and no error
    redis.call('PEXPIRE', lock_key, lock_ms)
    redis.call('SREM', stalled_key, job_id)
  else
    lost[#lost + 1] = job_id
  end
end
return lost
