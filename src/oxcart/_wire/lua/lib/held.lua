-- What one worker holds: the active jobs whose lock's token begins with the worker's own id.
local HELD_CHUNK = 5000

-- Returns {id, lock's key, token} for each, the newest first.
local function held_by(holder, base, active_key)
  local held, active = {}, redis.call('LRANGE', active_key, 0, -1)
  for first = 1, #active, HELD_CHUNK do
    local lock_keys = {}
    for at = first, math.min(first + HELD_CHUNK - 1, #active) do
      lock_keys[#lock_keys + 1] = base .. active[at] .. ':lock' -- the job's own key
    end
    -- A key of another type answers like a missing one: it is nobody's lock.
    for at, token in ipairs(redis.call('MGET', unpack(lock_keys))) do
      if token and string.sub(token, 1, #holder) == holder then
        held[#held + 1] = { active[first + at - 1], lock_keys[at], token }
      end
    end
  end
  return held
end
