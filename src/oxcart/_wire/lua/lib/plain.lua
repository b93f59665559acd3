-- Tells the runs whose end reaches nothing beyond their own jobs (wire format, section 7.5).
-- Needs lib/delete.

-- Of runs whose jobs are ours, those with children: they are looked at one by one. Notes of all
-- whether some job has more keys than its hash and its lock: they share one look, which mostly tells
-- that there is nothing.
local function with_children(runs)
  local names, found = {}, {}
  for _, run in ipairs(runs) do
    add_more_keys(names, run.key)
  end
  if #names > 0 and redis.call('EXISTS', unpack(names)) > 0 then
    for _, run in ipairs(runs) do
      run.has_more = true
      found[run] = redis.call('EXISTS', run.key .. ':dependencies', run.key .. ':unsuccessful') > 0
    end
  end
  return found
end

-- Whether a job has no parent, no deduplication id and no deferred failure; notes its attempts.
local function is_free(run)
  local fields = redis.pcall('HMGET', run.key, 'processedOn', 'parentKey', 'deid', 'defa', 'atm')
  run.made = fields[5]
  return not fields.err and fields[1] and not (fields[2] or fields[3] or fields[4])
end

-- Parts runs: those that are plain, and the rest. All of a part keep the same of what is finished.
local function part_plain(runs)
  local lock_keys = {}
  for at, run in ipairs(runs) do
    lock_keys[at] = run.key .. ':lock'
  end
  local holders, seen, ours = redis.call('MGET', unpack(lock_keys)), {}, {}
  for at, run in ipairs(runs) do
    run.is_plain = holders[at] == run.token and run.terms == runs[1].terms and not seen[run.id]
      and is_free(run)
    seen[run.id] = true
    if run.is_plain then
      ours[#ours + 1] = run
    end
  end
  local has_children, plain = with_children(ours), {}
  for _, run in ipairs(ours) do
    run.is_plain = not has_children[run]
    if run.is_plain then
      plain[#plain + 1] = run
    end
  end
  return plain
end
