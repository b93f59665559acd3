-- Reads the jobs that an add gives.
local JOB_WIDTH = 10

-- A job's ties to others, if it has some: parent {key, base, id, text, and its policy's flag},
-- dedup {id, ttl, extend, replace, reschedule, keep}, waits (for children).
local function read_ties(job, packed)
  if packed == '' then
    return job
  end
  local ties = cmsgpack.unpack(packed)
  job.dedup, job.waits = ties.dedup, ties.waits
  if ties.parent then
    job.parent = read_parent(ties.parent[1], ties.parent[2])
  end
  return job
end

-- A job's arguments: id (empty: the counter's), name, data, opts, timestamp (empty: now), delay,
-- due (an instant; empty: none), priority, lifo, ties (msgpack; empty: none).
local function read_new_job(argv, at, now)
  local timestamp = argv[at + 4] == '' and now or tonumber(argv[at + 4])
  local delay = tonumber(argv[at + 5])
  if argv[at + 6] ~= '' then -- due at an instant: the delay is what is left until then
    delay = math.max(0, tonumber(argv[at + 6]) - timestamp)
  end
  return read_ties({
    id = argv[at], name = argv[at + 1], data = argv[at + 2], opts = argv[at + 3],
    timestamp = timestamp, delay = delay, due = timestamp + delay,
    priority = tonumber(argv[at + 7]), side = argv[at + 8] == '1' and 'RPUSH' or 'LPUSH',
  }, argv[at + 9])
end
