-- Some of a queue's ready jobs, among them the one that has been ready the longest, or nearly so.
-- Looked at: the ends of the lists, and the first job of each priority, up to a number of those;
-- so it takes as long with a million of jobs as with ten.
-- Replies: for each job when it was added, when it was last run, and its options; false for what
-- a job does not have.
local wait_key = KEYS[1] -- list
local paused_key = KEYS[2] -- list: what BullMQ 5 makes of it while a queue is paused
local prioritized_key = KEYS[3] -- sorted set; score: priority * 2^32 + order
local base_key = KEYS[4] -- start of every job's key
local priority_limit = ARGV[1] -- how many priorities are looked at

local PRIORITY_STEP = 2 ^ 32

local jobs = {}

local function look_at(job_id)
  local fields = redis.pcall('HMGET', base_key .. job_id, 'timestamp', 'processedOn', 'opts')
  if not fields.err and fields[1] then
    jobs[#jobs + 1] = fields
  end
end

for _, list_key in ipairs({ wait_key, paused_key }) do
  for _, at in ipairs({ 0, -1 }) do -- the next is at the right, unless jobs are added there too
    local job_id = redis.call('LINDEX', list_key, at)
    if job_id then look_at(job_id) end
  end
end

local low = '-inf'
for _ = 1, tonumber(priority_limit) do
  local first = redis.call('ZRANGEBYSCORE', prioritized_key, low, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not first[1] then break end
  look_at(first[1])
  low = string.format('%.0f', (math.floor(tonumber(first[2]) / PRIORITY_STEP) + 1) * PRIORITY_STEP)
end

return jobs
