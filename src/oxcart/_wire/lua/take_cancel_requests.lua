-- Takes the requests to cancel running jobs that concern a worker process.
-- Replies: for each id the reason, or nothing.
local requests_key = KEYS[1] -- hash: job -> reason
local argv = ARGV -- from 1 on: ids of the jobs that run here

if redis.call('EXISTS', requests_key) == 0 then
  local none = {}
  for at = 1, #argv do
    none[at] = false
  end
  return none
end
local reasons = {}
for at = 1, #argv do
  reasons[at] = redis.call('HGET', requests_key, argv[at])
  if reasons[at] then
    redis.call('HDEL', requests_key, argv[at])
  end
end
return reasons
