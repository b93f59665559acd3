-- Adds a custom event to the queue's stream (wire format, section 6), trimmed like every other:
-- upstream trims the whole stream to 1,000 entries here. Replies: the entry's id.
local meta_key = KEYS[1] -- hash
local events_key = KEYS[2] -- stream
local argv = ARGV -- from 1 on: the event's name, then field, value, ...

--- @include "lib/events"

local length = redis.call('HGET', meta_key, 'opts.maxLenEvents') or DEFAULT_MAX_EVENTS
return redis.call('XADD', events_key, 'MAXLEN', '~', length, '*', 'event', unpack(argv))
