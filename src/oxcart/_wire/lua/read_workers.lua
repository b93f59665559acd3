-- Reads the queue's registry of workers.
-- Replies: {age of the last heartbeat in ms, record} for each, at most 10,000.
local workers_key = KEYS[1] -- hash: holder -> record, JSON
local beats_key = KEYS[2] -- sorted set: holder -> time of the last heartbeat, ms
local given_now = ARGV[1] -- ms, or 0 for the server's clock

--- @include "lib/text"
--- @include "lib/clock"

local MOST = 10000

local now, workers = read_clock(given_now), {}
local found = redis.call('ZREVRANGE', beats_key, 0, MOST - 1, 'WITHSCORES')
for at = 1, #found, 2 do
  local record = redis.call('HGET', workers_key, found[at])
  if record then
    workers[#workers + 1] = { int(math.max(0, now - tonumber(found[at + 1]))), record }
  end
end
return workers
