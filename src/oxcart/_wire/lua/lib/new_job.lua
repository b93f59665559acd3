-- Reads the jobs that an add gives.
local JOB_WIDTH = 5

-- A job without anything but a name, data and options.
local function plain_job(argv, at, now)
  return {
    id = argv[at], name = argv[at + 1], data = argv[at + 2], opts = argv[at + 3], timestamp = now,
    delay = 0, due = now, priority = 0, side = 'LPUSH',
  }
end

-- A job's arguments: id (empty: the counter's), name, data, opts, and what few have, in msgpack, or
-- nothing: timestamp (else now), delay, due (an instant instead of a delay), priority, lifo, waits
-- (for children), parent {key, text}, dedup {id, ttl, extend, replace, reschedule, keep}.
local function read_new_job(argv, at, now)
  local job = plain_job(argv, at, now)
  if argv[at + 4] == '' then
    return job
  end
  local more = cmsgpack.unpack(argv[at + 4])
  job.timestamp = more.timestamp or now
  job.delay = more.due and math.max(0, more.due - job.timestamp) or more.delay or 0
  job.due = job.timestamp + job.delay
  job.priority, job.side = more.priority or 0, more.lifo and 'RPUSH' or 'LPUSH'
  job.dedup, job.waits = more.dedup, more.waits
  if more.parent then
    job.parent = read_parent(more.parent[1], more.parent[2])
  end
  return job
end
