-- Resumes a queue, bringing back what BullMQ 5 had set aside (wire format, sections 7.12, 14).
-- Replies: 1 if ids set aside remain (call again), else 0. Event: resumed, on the first call.
local wait_key = KEYS[1] -- list
local paused_key = KEYS[2] -- list: what BullMQ 5 renames wait to
local prioritized_key = KEYS[3] -- sorted set
local delayed_key = KEYS[4] -- sorted set
local marker_key = KEYS[5] -- sorted set
local meta_key = KEYS[6] -- hash
local events_key = KEYS[7] -- stream
local is_first = ARGV[1] -- 1 on the first call

--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"

local CHUNK = 7000

local function restore_set_aside()
  if redis.call('EXISTS', paused_key) == 0 then
    return 0
  end
  if redis.call('EXISTS', wait_key) == 0 then
    redis.call('RENAME', paused_key, wait_key)
    return 0
  end
  local ids = redis.call('LRANGE', paused_key, 0, CHUNK - 1)
  redis.call('RPUSH', wait_key, unpack(ids))
  redis.call('LTRIM', paused_key, #ids, -1)
  return redis.call('EXISTS', paused_key)
end

redis.call('HDEL', meta_key, 'paused')
local remaining = restore_set_aside()
if redis.call('EXISTS', wait_key, prioritized_key) > 0 then
  wake(marker_key)
else
  mark_next_due(delayed_key, marker_key)
end
if is_first == '1' then
  emit(events_key, 'resumed')
end
return remaining
