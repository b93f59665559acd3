-- Takes a worker out of the queue's registry of workers: it has stopped, or its jobs were recovered.
local workers_key = KEYS[1] -- hash: holder -> record, JSON
local beats_key = KEYS[2] -- sorted set: holder -> time of the last heartbeat, ms
local holder = ARGV[1] -- the worker

redis.call('HDEL', workers_key, holder)
redis.call('ZREM', beats_key, holder)
return 0
