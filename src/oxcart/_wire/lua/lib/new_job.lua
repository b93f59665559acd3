-- Reads the jobs that an add gives.
local JOB_WIDTH = 9

-- A job's arguments: id (empty: the counter's), name, data, opts, timestamp (empty: now), delay,
-- due (an instant; empty: none), priority, lifo.
local function read_new_job(argv, at, now)
  local timestamp = argv[at + 4] == '' and now or tonumber(argv[at + 4])
  local delay = tonumber(argv[at + 5])
  if argv[at + 6] ~= '' then -- due at an instant: the delay is what is left until then
    delay = math.max(0, tonumber(argv[at + 6]) - timestamp)
  end
  return {
    id = argv[at], name = argv[at + 1], data = argv[at + 2], opts = argv[at + 3],
    timestamp = timestamp, delay = delay, due = timestamp + delay,
    priority = tonumber(argv[at + 7]), side = argv[at + 8] == '1' and 'RPUSH' or 'LPUSH',
  }
end
