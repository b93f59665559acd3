-- Removes keys of our own from a queue that was obliterated: what remembers recent calls, requests to
-- cancel jobs. The registry of workers stays: living workers need it, and it expires without them.
-- A part of the key space a call.
-- Replies: the cursor, 0 when all was looked at.
local base_key = KEYS[1] -- start of every key of the queue
local cursor = ARGV[1] -- where the last call stopped; 0 at first
local count = ARGV[2] -- how many keys to look at, about
local pattern = ARGV[3] -- of the queue's keys, as SCAN has it

local REGISTRY = { workers = true, beats = true }

local start = base_key .. 'oxcart:' -- found by the pattern: their names hold random parts

local page = redis.call('SCAN', cursor, 'MATCH', pattern .. 'oxcart:*', 'COUNT', count)
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #start) == start and not REGISTRY[string.sub(key, #start + 1)] then
    redis.call('DEL', key)
  end
end
return page[1]
