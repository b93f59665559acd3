-- Refuses to work on a queue one of whose keys another program made something else of.
-- Scripts are not rolled back: found out halfway, ids would be popped and put nowhere.
local KEY_TYPES = {
  wait = 'list', active = 'list', prioritized = 'zset', delayed = 'zset', children = 'zset',
  completed = 'zset', failed = 'zset', stalled = 'set', marker = 'zset', meta = 'hash',
  events = 'stream', counter = 'string', limiter = 'string', id = 'string',
}
local PARENT_TYPES = {
  [''] = 'hash', [':dependencies'] = 'set', [':processed'] = 'hash', [':failed'] = 'hash',
  [':unsuccessful'] = 'zset',
}

local function is_type(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none', found
end

-- An error reply that names a key that is not what it should be; nil if it is, or is not there.
local function refuse_type(key, kind)
  local is_right, found = is_type(key, kind)
  return not is_right and redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found) or nil
end

-- The same for the first wrong key of a queue.
local function wrong_type(keys)
  for name, kind in pairs(KEY_TYPES) do
    local refused = refuse_type(keys[name], kind)
    if refused then
      return refused
    end
  end
  return nil
end

local function has_right_types(parent)
  for suffix, kind in pairs(PARENT_TYPES) do
    if not is_type(parent.key .. suffix, kind) then
      return false
    end
  end
  return wrong_type(queue_keys(parent.base)) == nil
end

local sound = {} -- parents looked at in this call: many children have the same

-- Whether a parent and its queue can be written.
local function is_sound(parent)
  if sound[parent.key] == nil then
    sound[parent.key] = has_right_types(parent)
  end
  return sound[parent.key]
end
