-- What may be wrong with a queue, at one moment. Nothing is written.
-- Looked at: the ends of the lists of ready jobs, the first of the priorities, the first of the
-- delayed jobs and the first of the active ones, up to `sample` of each.
-- Replies: {active jobs without a lock, jobs that failed lately, name, count, name, count, ...}, where
-- the names are those of jobs that are ready, due, or were put back by a worker without a handler.
local wait_key = KEYS[1] -- list: ids, newest left
local paused_key = KEYS[2] -- list: what BullMQ 5 makes of it while a queue is paused
local prioritized_key = KEYS[3] -- sorted set; score: priority * 2^32 + order
local delayed_key = KEYS[4] -- sorted set; score: due ms * 4096 + order
local active_key = KEYS[5] -- list
local failed_key = KEYS[6] -- sorted set; score: failed ms
local base_key = KEYS[7] -- start of every job's key; its lock is at <job's key>:lock
local given_now = ARGV[1] -- ms of the caller's clock, 0 for the server's
local sample = ARGV[2] -- how many ids of each kind are looked at
local lately_ms = ARGV[3] -- how long ago `lately` begins

--- @include "lib/clock"

local DELAYED_STEP = 4096

local limit = tonumber(sample)
local now = read_clock(given_now)
local seen, counts, names = {}, {}, {}

local function note(job_id, only_unknown)
  if seen[job_id] then return end
  seen[job_id] = true
  local fields = redis.pcall('HMGET', base_key .. job_id, 'name', 'ox:unknown')
  if fields.err or not fields[1] or (only_unknown and not fields[2]) then return end
  local name = fields[1]
  if not counts[name] then
    counts[name] = 0
    names[#names + 1] = name
  end
  counts[name] = counts[name] + 1
end

local function note_all(job_ids)
  for _, job_id in ipairs(job_ids) do note(job_id, false) end
end

for _, list_key in ipairs({ wait_key, paused_key }) do
  note_all(redis.call('LRANGE', list_key, -limit, -1))
  note_all(redis.call('LRANGE', list_key, 0, limit - 1))
end
note_all(redis.call('ZRANGE', prioritized_key, 0, limit - 1))

local delayed = redis.call('ZRANGE', delayed_key, 0, limit - 1, 'WITHSCORES')
for at = 1, #delayed, 2 do
  note(delayed[at], math.floor(tonumber(delayed[at + 1]) / DELAYED_STEP) > now)
end

local unlocked = 0
for _, job_id in ipairs(redis.call('LRANGE', active_key, 0, limit - 1)) do
  if redis.call('EXISTS', base_key .. job_id .. ':lock') == 0 then
    unlocked = unlocked + 1
  end
end

local since = string.format('%.0f', now - tonumber(lately_ms))
local reply = { unlocked, redis.call('ZCOUNT', failed_key, since, '+inf') }
for _, name in ipairs(names) do
  reply[#reply + 1] = name
  reply[#reply + 1] = counts[name]
end
return reply
