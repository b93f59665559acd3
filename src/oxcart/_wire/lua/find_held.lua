-- Finds the jobs that one worker holds: the active ones whose lock's token begins with its id.
-- Replies: how many active jobs were looked at, then {id, token} for each found.
local base_key = KEYS[1] -- start of every job's key
local active_key = KEYS[2] -- list, oldest at the right
local holder = ARGV[1] -- what the tokens of the worker's locks begin with
local offset = ARGV[2] -- how many of the oldest to pass over
local count = ARGV[3] -- how many to look at, at most 5,000

local last = -1 - tonumber(offset)
local active = redis.call('LRANGE', active_key, last - tonumber(count) + 1, last)
local reply, lock_keys = { #active }, {}
for at, job_id in ipairs(active) do
  lock_keys[at] = base_key .. job_id .. ':lock' -- the job's own key
end
if #active > 0 then
  -- A key of another type answers like a missing one: it is no worker's lock.
  for at, token in ipairs(redis.call('MGET', unpack(lock_keys))) do
    if token and string.sub(token, 1, #holder) == holder then
      reply[#reply + 1] = { active[at], token }
    end
  end
end
return reply
