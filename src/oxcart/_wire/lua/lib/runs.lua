-- Reads the runs that a step ends, and ends them.
-- Needs lib/finish and lib/return.
local RUN_WIDTH = 12

-- A run's arguments: id, token, verb, value, trace, keep_count, keep_age, keep_limit, attempts,
-- delay, until, lifo. The value is what was returned (JSON) or why it failed (text).
local function read_run(argv, at, base)
  return {
    id = argv[at], key = base .. argv[at], token = argv[at + 1], verb = argv[at + 2],
    value = argv[at + 3], trace = argv[at + 4], keep_count = tonumber(argv[at + 5]),
    keep_age = tonumber(argv[at + 6]), keep_limit = tonumber(argv[at + 7]),
    attempts = tonumber(argv[at + 8]), delay = tonumber(argv[at + 9]),
    until_ms = tonumber(argv[at + 10]), lifo = argv[at + 11] == '1',
  }
end

local function end_run(keys, run, now, ended, length)
  if run.verb == 'complete' then
    return complete(keys, run, now, ended.prunes)
  elseif run.verb == 'fail' then
    return fail(keys, run, now, ended.prunes)
  elseif run.verb == 'retry' then
    return retry(keys, run, now, length, ended.dropped)
  elseif run.verb == 'give_back' then
    return give_back(keys, run, length)
  end
  return delay(keys, run, now, length, run.verb == 'retry_later')
end

-- Ends all runs from argv[first] on. Returns their codes, what was dropped on the way, and whether
-- a job was finished or put into delayed.
local function end_runs(keys, argv, first, now)
  local ended = { codes = {}, prunes = {}, dropped = {}, has_finished = false, has_delayed = false }
  if #argv < first then
    return ended
  end
  local length = max_events(keys.meta)
  redis.call('XTRIM', keys.events, 'MAXLEN', '~', length)
  for at = first, #argv, RUN_WIDTH do
    local run = read_run(argv, at, keys.base)
    local code = end_run(keys, run, now, ended, length)
    ended.codes[#ended.codes + 1] = code
    if code == 0 and (run.verb == 'complete' or run.verb == 'fail') then
      ended.has_finished = true
    elseif code == 0 and (run.verb == 'retry_later' or run.verb == 'delay') then
      ended.has_delayed = true
    end
  end
  for set_key, run in pairs(ended.prunes) do
    prune(set_key, keys.base, run, now)
  end
  return ended
end
