-- Reads the runs that a step ends, and ends them.
-- Needs lib/finish, lib/return and lib/metrics.
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

local VERBS = {
  complete = complete,
  fail = fail,
  retry = function(keys, run, now, ended) return retry(keys, run, now, ended.length, ended.dropped) end,
  retry_later = function(keys, run, now, ended) return delay(keys, run, now, ended.length, true) end,
  delay = function(keys, run, now, ended) return delay(keys, run, now, ended.length, false) end,
  give_back = function(keys, run, _, ended) return give_back(keys, run, ended.length) end,
  limit = function(keys, run, _, ended) return give_back_limited(keys, run, ended.length) end,
  wait = wait_for_children,
}

-- Ends all runs from argv[first] on. Returns their codes, what was dropped on the way, and how many
-- jobs were completed, failed and put into delayed.
local function end_runs(keys, argv, first, now)
  local ended = { codes = {}, prunes = {}, dropped = {}, completed = 0, failed = 0, delayed = 0 }
  if #argv < first then
    return ended
  end
  ended.length = max_events(keys.meta)
  redis.call('XTRIM', keys.events, 'MAXLEN', '~', ended.length)
  for at = first, #argv, RUN_WIDTH do
    local run = read_run(argv, at, keys.base)
    local code = VERBS[run.verb](keys, run, now, ended)
    ended.codes[#ended.codes + 1] = code
    if code == 0 and (run.verb == 'retry_later' or run.verb == 'delay') then
      ended.delayed = ended.delayed + 1
    end
  end
  for set_key, run in pairs(ended.prunes) do
    prune(set_key, keys, run, now)
  end
  return ended
end

-- Figures that somebody made something else of are not counted on: the runs have ended by now.
local function count_ends(base, ended, size, now)
  if ended.completed > 0 then
    pcall(count_finished, base, 'completed', ended.completed, size, now)
  end
  if ended.failed > 0 then
    pcall(count_finished, base, 'failed', ended.failed, size, now)
  end
end
