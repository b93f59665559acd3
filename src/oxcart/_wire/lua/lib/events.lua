-- Events of the stream (wire format, section 6).
local DEFAULT_MAX_EVENTS = '10000'

-- Target length of the stream; written where it is missing or no number.
local function max_events(meta_key)
  local length = redis.call('HGET', meta_key, 'opts.maxLenEvents')
  if not length or not string.find(length, '^%d+$') then
    redis.call('HSET', meta_key, 'opts.maxLenEvents', DEFAULT_MAX_EVENTS)
    return DEFAULT_MAX_EVENTS
  end
  return length
end

local function emit(events_key, ...)
  redis.call('XADD', events_key, '*', 'event', ...)
end

local function emit_trimmed(events_key, length, ...)
  redis.call('XADD', events_key, 'MAXLEN', '~', length, '*', 'event', ...)
end
