-- Adding jobs that have nothing but a name, data and options, as most do; what lib/add would do with
-- each, done for all.
-- Needs lib/text and lib/new_job.

-- Whether all jobs are without anything more, and take the counter's numbers for ids.
local function are_plain(argv, first)
  for at = first, #argv, JOB_WIDTH do
    if argv[at] ~= '' or argv[at + 4] ~= '' then
      return false
    end
  end
  return true
end

-- Makes jobs that have nothing but a name, data and options: those from `first` on of the arguments,
-- with the numbers from `number` on for ids.
local function add_plain_jobs(keys, argv, first, number, now, marks)
  local call, base, events, timestamp = redis.call, keys.base, keys.events, int(now)
  for at = first, #argv, JOB_WIDTH do
    local id, name = string.format('%.0f', number), argv[at + 1]
    call('HSET', base .. id, 'name', name, 'data', argv[at + 2], 'opts', argv[at + 3],
      'timestamp', timestamp, 'delay', '0', 'priority', '0')
    call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
    call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
    marks[#marks + 1], number = id, number + 1
  end
  marks.has_ready = true
end
