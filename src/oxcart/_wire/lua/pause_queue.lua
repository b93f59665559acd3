-- Pauses a queue: nothing more is taken, lists stay (wire format, section 7.12). Event: paused.
local meta_key = KEYS[1] -- hash
local marker_key = KEYS[2] -- sorted set
local events_key = KEYS[3] -- stream

--- @include "lib/events"

redis.call('HSET', meta_key, 'paused', 1)
redis.call('DEL', marker_key)
emit(events_key, 'paused')
return 1
