-- Makes the jobs after the intervals' jobs that a step takes (wire format, section 11.3), in the same
-- call: a worker that dies after it cannot hold up a schedule. What is left out here (patterns, whose
-- times Lua does not know, and options that it cannot write exactly) the worker does when it begins.
-- Needs lib/text, lib/slots, lib/iteration and lib/following.
local LATEST_MS, MOST_PRIORITY = 253402214400000, 2097152
-- Text that cjson may write otherwise than it was: an array, as it may be empty; too many digits.
local INEXACT = { '%[', string.rep('[%d.]', 15) }

local function read_options(text)
  for _, pattern in ipairs(INEXACT) do
    if not text or string.find(text, pattern) then
      return nil
    end
  end
  local is_readable, options = pcall(cjson.decode, text)
  return is_readable and type(options) == 'table' and options or nil
end

-- Whether the schedule ends with a job, by what that says of it.
local function is_last(rule, count, now)
  local limit, start, stop = read_ms(rule.limit), read_ms(rule.startDate), read_ms(rule.endDate)
  local is_bounded = stop and stop > 0 and not (start and start > 0 and stop <= start)
  return limit and limit > 0 and count >= limit or is_bounded and now > stop
end

-- The options of the next job, up to the time in its id.
local function write_options(options, scheduler_id)
  for _, name in ipairs({ 'jobId', 'timestamp', 'delay', 'prevMillis' }) do
    options[name] = nil
  end
  for name, value in pairs(options) do
    if value == cjson.null then
      options[name] = nil
    end
  end
  options.attempts = options.attempts or 0
  local own = string.sub(cjson.encode(scheduler_id), 2, -2)
  return string.sub(cjson.encode(options), 1, -2) .. ',"jobId":"repeat:' .. own .. ':'
end

-- What make_following is to be given of a job's options; nil if they are not a plain interval's.
local function read_interval(text, scheduler_id, now)
  local options = read_options(text)
  local rule = options and options['repeat']
  if type(rule) ~= 'table' or (type(rule.pattern) == 'string' and rule.pattern ~= '') then
    return nil
  end
  local every, count = read_ms(rule.every), math.max(1, read_ms(rule.count) or 1)
  local priority = read_ms(options.priority) or 0
  if not every or every < 1 or every >= LATEST_MS or priority > MOST_PRIORITY
    or is_last(rule, count, now) then
    return nil
  end
  rule.count = count + 1
  return {
    every = every, opts_head = write_options(options, scheduler_id), priority = priority,
    side = options.lifo == true and 'RPUSH' or 'LPUSH',
  }
end

local function follow_taken(keys, job, now)
  local fields = {}
  for at = 1, #job[2], 2 do
    fields[job[2][at]] = job[2][at + 1]
  end
  local scheduler_id = fields.rjk
  local interval = scheduler_id and read_interval(fields.opts, scheduler_id, now)
  if interval then
    local scheduler_key = keys.scheduled .. ':' .. scheduler_id -- the scheduler's own key
    make_following(keys, scheduler_key, scheduler_id, job[1], interval, now)
  end
end

-- An error of one scheduler's must not end the step: the ids that it has popped would be lost.
local function follow_all_taken(keys, taken, now)
  for _, job in ipairs(taken) do
    pcall(follow_taken, keys, job, now)
  end
end
