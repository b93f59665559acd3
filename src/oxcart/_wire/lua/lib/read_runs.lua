-- Reads the runs that a step ends. Needs nothing.
local RUN_WIDTH = 6

local read_already = {} -- what runs have in common is read once a call

-- What is kept of the job: {keep_count, keep_age, keep_limit, attempts, lifo}, in msgpack.
local function read_terms(packed)
  if not read_already[packed] then
    read_already[packed] = cmsgpack.unpack(packed)
  end
  return read_already[packed]
end

-- A run's arguments: id, token, verb, value, terms, and what only some verbs have: {trace, delay,
-- until} in msgpack, or nothing. The value is what was returned (JSON) or why it failed (text).
local function read_run(argv, at, base)
  local terms = read_terms(argv[at + 4])
  local run = {
    id = argv[at], key = base .. argv[at], token = argv[at + 1], verb = argv[at + 2],
    value = argv[at + 3], terms = terms, keep_count = terms[1], keep_age = terms[2],
    keep_limit = terms[3], attempts = terms[4], lifo = terms[5],
  }
  if argv[at + 5] ~= '' then
    local more = cmsgpack.unpack(argv[at + 5])
    run.trace, run.delay, run.until_ms = more[1], more[2], more[3]
  end
  return run
end

-- Reads all runs; and those that say "complete", which most do, once more by themselves.
local function read_runs(argv, first, base)
  local runs, completes = {}, {}
  for at = first, #argv, RUN_WIDTH do
    local run = read_run(argv, at, base)
    runs[#runs + 1] = run
    if run.verb == 'complete' then
      completes[#completes + 1] = run
    end
  end
  return runs, completes
end
