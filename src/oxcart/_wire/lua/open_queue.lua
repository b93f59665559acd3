-- Writes the queue's own settings where they are missing (wire format, section 2.3).
-- The version is written only if absent or ours. Replies nothing.
local meta_key = KEYS[1] -- hash
local events_length = ARGV[1] -- target length of the stream; empty: the default where missing
local version = ARGV[2] -- ours

if events_length ~= '' then
  redis.call('HSET', meta_key, 'opts.maxLenEvents', events_length)
else
  redis.call('HSETNX', meta_key, 'opts.maxLenEvents', '10000')
end
local present = redis.call('HGET', meta_key, 'version')
if not present or string.find(present, 'bullmq:oxcart', 1, true) == 1 then
  redis.call('HSET', meta_key, 'version', version)
end
return 1
