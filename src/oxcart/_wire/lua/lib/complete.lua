-- Completes many runs at once (wire format, section 7.5): those that lib/plain tells.
-- Needs lib/text and lib/delete.
local NOT_IN_STATE = -3

-- Takes runs out of the active list; those that did not stand there are marked. Jobs that were
-- taken together and end in the same order are its end: then one call does.
local function leave_active_together(active_key, runs)
  local count = #runs
  local tail = redis.call('LRANGE', active_key, -count, -1)
  local is_tail = #tail == count
  for at = 1, is_tail and count or 0 do
    is_tail = is_tail and tail[count + 1 - at] == runs[at].id
  end
  if is_tail then
    redis.call('LTRIM', active_key, 0, -count - 1)
    return
  end
  for _, run in ipairs(runs) do
    run.was_away = redis.call('LREM', active_key, -1, run.id) == 0
  end
end

-- Writes the results of runs whose jobs are kept.
local function keep_completed(keys, runs, now)
  local scored = {}
  for _, run in ipairs(runs) do
    scored[#scored + 1], scored[#scored + 2] = now, run.id
    redis.call('HSET', run.key, 'atm', next_count(run.made), 'returnvalue', run.value,
      'finishedOn', int(now))
  end
  if #runs > 0 then
    redis.call('ZADD', keys.completed, unpack(scored))
  end
end

local function add_hash_key(names, job_key)
  names[#names + 1] = job_key
end

-- Takes the locks and, of those that are not kept, all else of the jobs away.
local function let_go_together(keys, runs, done, is_kept, knows_no_stalled)
  local ids, names = {}, {}
  for at, run in ipairs(runs) do
    ids[at], names[at] = run.id, run.key .. ':lock'
  end
  for at = 1, is_kept and 0 or #done do
    local add_keys = done[at].has_more and add_job_keys or add_hash_key
    add_keys(names, done[at].key)
  end
  redis.call('DEL', unpack(names))
  if not knows_no_stalled then
    redis.call('SREM', keys.stalled, unpack(ids))
  end
end

-- Completes plain runs: proven to be ours, and in need of nothing else.
local function complete_together(keys, runs, now, ended, is_kept)
  leave_active_together(keys.active, runs)
  local done = {}
  for _, run in ipairs(runs) do
    run.code = run.was_away and NOT_IN_STATE or 0
    done[#done + 1] = run.code == 0 and run or nil
  end
  let_go_together(keys, runs, done, is_kept, ended.knows_no_stalled)
  if is_kept then
    keep_completed(keys, done, now)
  end
  for _, run in ipairs(done) do
    redis.call('XADD', keys.events, '*', 'event', 'completed', 'jobId', run.id,
      'returnvalue', run.value, 'prev', 'active')
  end
  ended.completed = ended.completed + #done
end
