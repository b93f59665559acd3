-- Takes the requests to cancel running jobs that concern a worker process. One that was made for
-- another run of the job stays: it concerns nobody here.
-- Replies: for each id the reason, or nothing.
local requests_key = KEYS[1] -- hash: job -> packed {the token it was locked with, reason}
local argv = ARGV -- from 1 on: ids of the jobs that run here, each with its lock's token

local reasons = {}
local is_any = redis.call('EXISTS', requests_key) == 1
for at = 1, #argv, 2 do
  local packed = is_any and redis.call('HGET', requests_key, argv[at])
  local can_read, request = pcall(cmsgpack.unpack, packed)
  local concerns_us = packed and can_read and type(request) == 'table' and request[1] == argv[at + 1]
  if concerns_us then
    redis.call('HDEL', requests_key, argv[at])
  end
  reasons[#reasons + 1] = concerns_us and request[2]
end
return reasons
