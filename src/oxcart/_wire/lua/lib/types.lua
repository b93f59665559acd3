-- Refuses to work on a queue one of whose keys another program made something else of.
-- Scripts are not rolled back: found out halfway, ids would be popped and put nowhere.
local KEY_TYPES = {
  wait = 'list', active = 'list', prioritized = 'zset', delayed = 'zset', completed = 'zset',
  failed = 'zset', stalled = 'set', marker = 'zset', meta = 'hash', events = 'stream',
  counter = 'string',
}

-- An error reply that names the first wrong key; nil if all are right or not there.
local function wrong_type(keys)
  for name, kind in pairs(KEY_TYPES) do
    if keys[name] then
      local found = redis.call('TYPE', keys[name]).ok
      if found ~= kind and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. keys[name] .. ' is a ' .. found)
      end
    end
  end
  return nil
end
