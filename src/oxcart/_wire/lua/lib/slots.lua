-- When the jobs of an interval are due (wire format, section 11.4). Needs nothing.
local MOST_SLOTS = 32

-- The slot of the current interval, or the next one if that is over.
local function aligned_slot(now, every, offset)
  local due = now - now % every + offset
  return due > now and due or due + every
end

-- The first slot of a scheduler; start is nil where it has none.
local function first_slot(now, every, offset, start)
  if start then
    return math.max(start, now)
  elseif offset > 0 then
    return aligned_slot(now, every, offset)
  end
  return now
end

-- The slot after another one; those that are over are skipped. A stored offset may be that of a longer
-- interval, before the schedule was changed: whole intervals in it would put the job off.
local function following_slot(now, every, offset, previous)
  local due = previous + every
  return due < now and aligned_slot(now, every, offset % every) or due
end

local function iteration_id(scheduler_id, due)
  return 'repeat:' .. scheduler_id .. ':' .. string.format('%.0f', due)
end

-- The first slot from a time on that has no job but the one that makes room; nil after 32 further
-- ones of an interval, or if the one time of a pattern (every is nil) is taken.
local function free_slot(base, scheduler_id, due, every, leaving)
  for turn = 0, every and MOST_SLOTS or 0 do
    local slot = due + turn * (every or 0)
    local job_id = iteration_id(scheduler_id, slot)
    if job_id == leaving or redis.call('EXISTS', base .. job_id) == 0 then
      return slot
    end
  end
  return nil
end

-- A number of ms that somebody wrote, as a whole one; nil for what is none.
local function read_ms(text)
  local number = tonumber(text or '')
  if not number or number ~= number or number < 0 or number > 9007199254740991 then
    return nil
  end
  return math.floor(number)
end

-- What a definition (fields and values from argv[first] on) says of a field; false if nothing.
local function field_of(argv, first, name)
  for at = first, #argv, 2 do
    if argv[at] == name then
      return argv[at + 1]
    end
  end
  return false
end
