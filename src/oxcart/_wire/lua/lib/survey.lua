-- Looks a queue over before a plain step. Needs lib/queue.
-- Each key that such a step writes is read once: what another program made something else of shows
-- here, before anything is written, and so does whatever a plain step has no answer to.

-- What each read answers by key; nil where one key is not what it should be.
local function sizes_of(keys, reads)
  local found = {}
  for name, command in pairs(reads) do
    local size = redis.pcall(command, keys[name])
    if type(size) == 'table' then
      return nil
    end
    found[name] = size
  end
  return found
end

local SIZES = {
  wait = 'LLEN', active = 'LLEN', prioritized = 'ZCARD', stalled = 'SCARD', marker = 'ZCARD',
  events = 'XLEN', completed = 'ZCARD',
}

-- The queue as it stands: the sizes of its keys, the target length of its events, and when its next
-- delayed job is due (nil: never). Nil if it is paused or limited, or a job is due.
local function survey(keys, now)
  local found = sizes_of(keys, SIZES)
  local meta = redis.pcall('HMGET', keys.meta, 'opts.maxLenEvents', 'paused', 'concurrency', 'max')
  local first = redis.pcall('ZRANGE', keys.delayed, 0, 0, 'WITHSCORES')
  if not found or meta.err or first.err or not meta[1] or meta[2] or meta[3] or meta[4]
    or redis.call('EXISTS', keys.limiter) == 1 then
    return nil
  end
  -- A length that is no whole number is for the step to repair: trimming to it is an error.
  found.most_events = string.find(meta[1], '^%d+$') and tonumber(meta[1])
  found.next_due = next_due_of(first)
  if not found.most_events or (found.next_due and found.next_due < now + 1) then
    return nil
  end
  return found
end
