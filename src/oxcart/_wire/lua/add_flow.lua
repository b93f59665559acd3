-- Adds trees of jobs over several queues (wire format, section 8.2): all of it or nothing; sent
-- again with the same nonce, nothing.
-- Replies: {now, id, status, id, status, ...} as add_jobs; or {now, id, refusal} of the first job
--   that cannot be added: then nothing was.
-- Events: as add_jobs, in each queue; waiting-children for parents.
local nonce_key = KEYS[1] -- string: the packed reply, for a minute
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local nonce_ms = ARGV[2] -- how long the reply is remembered
local argv = ARGV -- from 3 on, a job, parents before their children: its queue's base, whether its
-- parent is of this insert (1) or was there before (0), then as lib/new_job

--- @include "lib/text"
--- @include "lib/clock"
--- @include "lib/queue"
--- @include "lib/types"
--- @include "lib/jobs"
--- @include "lib/events"
--- @include "lib/ready"
--- @include "lib/delayed"
--- @include "lib/create"
--- @include "lib/parents"
--- @include "lib/delete"
--- @include "lib/remove"
--- @include "lib/claim"
--- @include "lib/holder"
--- @include "lib/dedup"
--- @include "lib/new_job"
--- @include "lib/add"

local FIRST, LEAD = 3, 2
local remembered = redis.call('GET', nonce_key)
if remembered then
  return cmsgpack.unpack(remembered)
end
local now = read_clock(given_now)

-- The nodes, their queues' keys and wake-up tokens; or an error reply.
local function read_nodes()
  local nodes, queues = {}, {}
  for at = FIRST, #argv, LEAD + JOB_WIDTH do
    local base = argv[at]
    if not queues[base] then
      local keys = queue_keys(base)
      local refused = wrong_type(keys)
      if refused then
        return nil, refused
      end
      queues[base] = { keys = keys, marks = {} }
    end
    nodes[#nodes + 1] = {
      queue = queues[base], job = read_new_job(argv, at + LEAD, now), is_inner = argv[at + 1] == '1',
    }
  end
  return nodes, nil, queues
end

local function first_refusal(nodes)
  for _, node in ipairs(nodes) do
    local refusal = refusal_of(node.queue.keys, node.job, node.is_inner)
    if refusal then
      return { int(now), node.job.id, refusal }
    end
  end
end

local nodes, wrong, queues = read_nodes()
local refused = wrong or first_refusal(nodes)
if refused then
  return refused
end

local reply = { int(now) }
for at, node in ipairs(nodes) do
  local keys = node.queue.keys
  local length = max_events(keys.meta)
  reply[2 * at], reply[2 * at + 1] =
    add_job(keys, node.job, now, length, node.queue.marks, not node.is_inner)
end
for _, node in ipairs(nodes) do
  local base, id = node.queue.keys.base, node.job.id
  if node.job.waits and not has_pending(base .. id) then -- all its children had completed before
    release_parent({ key = base .. id, base = base, id = id }, now)
  end
end
for _, queue in pairs(queues) do
  put_ready(queue.keys, queue.marks, max_events(queue.keys.meta))
end
redis.call('SET', nonce_key, cmsgpack.pack(reply), 'PX', nonce_ms)
return reply
