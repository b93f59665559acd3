-- Reads the hashes of jobs.
-- Replies: for each id its fields and values; nothing where there is no job, or another type.
local base_key = KEYS[1] -- start of every job's key
local argv = ARGV -- from 1 on: ids

local jobs = {}
for at, job_id in ipairs(argv) do
  local fields = redis.pcall('HGETALL', base_key .. job_id) -- a state's id, or one that was asked for
  jobs[at] = fields.err and {} or fields
end
return jobs
