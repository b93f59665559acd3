-- A worker's heartbeat in the queue's registry of workers, which finds those that miss theirs.
-- Replies: {holder, age of its last heartbeat in ms, record} for each other worker of which none was
--   received for the given time, at most 100.
local workers_key = KEYS[1] -- hash: holder -> record, JSON
local beats_key = KEYS[2] -- sorted set: holder -> time of the last heartbeat, ms
local given_now = ARGV[1] -- ms, or 0 for the server's clock
local holder = ARGV[2] -- the worker
local record = ARGV[3] -- its record; empty: a heartbeat in its place, of no effect if it has left
local missed_ms = ARGV[4] -- workers without a heartbeat for so long are reported
local keep_ms = ARGV[5] -- the registry is kept for so long after the last heartbeat of any

--- @include "lib/text"
--- @include "lib/clock"

local MOST = 100

local now = read_clock(given_now)
if record ~= '' then
  redis.call('HSET', workers_key, holder, record)
  redis.call('ZADD', beats_key, int(now), holder)
else
  redis.call('ZADD', beats_key, 'XX', int(now), holder)
end
redis.call('PEXPIRE', workers_key, keep_ms)
redis.call('PEXPIRE', beats_key, keep_ms)

local found = redis.call('ZRANGEBYSCORE', beats_key, '-inf', int(now - tonumber(missed_ms)),
  'WITHSCORES', 'LIMIT', 0, MOST)
local missing = {}
for at = 1, #found, 2 do
  local text = found[at] ~= holder and redis.call('HGET', workers_key, found[at])
  if text then
    missing[#missing + 1] = { found[at], int(now - tonumber(found[at + 1])), text }
  elseif found[at] ~= holder then
    redis.call('ZREM', beats_key, found[at]) -- a heartbeat without a record is of no use
  end
end
return missing
