-- Ends the runs of a step. Needs lib/read_runs, lib/finish, lib/plain, lib/complete and lib/return.
local VERBS = {
  complete = complete,
  fail = fail,
  retry = function(keys, run, now, ended) return retry(keys, run, now, ended.length, ended.dropped) end,
  retry_later = function(keys, run, now, ended) return delay(keys, run, now, ended.length, true) end,
  delay = function(keys, run, now, ended) return delay(keys, run, now, ended.length, false) end,
  put_back = function(keys, run, now, ended) return put_back_unknown(keys, run, now, ended.length) end,
  give_back = function(keys, run, _, ended) return give_back(keys, run, ended.length) end,
  limit = function(keys, run, _, ended) return give_back_limited(keys, run, ended.length) end,
  wait = wait_for_children,
}

local DELAYING = { retry_later = true, delay = true, put_back = true }

-- Ends all runs from argv[first] on. Returns their codes, what was dropped on the way, and how many
-- jobs were completed, failed and put into delayed.
local function end_runs(keys, argv, first, now)
  local ended = { codes = {}, prunes = {}, dropped = {}, completed = 0, failed = 0, delayed = 0 }
  if #argv < first then
    return ended
  end
  -- A queue that was obliterated while its jobs ran has neither, and stays gone.
  local is_there = redis.call('EXISTS', keys.meta, keys.id) > 0
  ended.length = is_there and max_events(keys.meta) or DEFAULT_MAX_EVENTS
  redis.call('XTRIM', keys.events, 'MAXLEN', '~', ended.length)
  local runs, completes = read_runs(argv, first, keys.base)
  local plain = #completes > 0 and part_plain(completes) or {}
  if #plain > 0 then
    local is_kept = plain[1].keep_count ~= 0
    complete_together(keys, plain, now, ended, is_kept)
    ended.prunes[keys.completed] = is_kept and ended.completed > 0 and plain[1] or nil
  end
  for at, run in ipairs(runs) do
    run.code = run.code or VERBS[run.verb](keys, run, now, ended)
    ended.codes[at] = run.code
    if run.code == 0 and DELAYING[run.verb] then
      ended.delayed = ended.delayed + 1
    end
  end
  for set_key, run in pairs(ended.prunes) do
    prune(set_key, keys, run, now)
  end
  return ended
end
