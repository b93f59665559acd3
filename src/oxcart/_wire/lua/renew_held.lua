-- Renews the locks of a worker that cannot do so just now (wire format, section 7.10).
-- Replies: how many there are; a missing lock is not made again.
local base_key = KEYS[1] -- start of every job's key
local active_key = KEYS[2] -- list
local stalled_key = KEYS[3] -- set
local holder = ARGV[1] -- what the tokens of the worker's locks begin with
local lock_ms = ARGV[2] -- how long the locks last from now

--- @include "lib/held"

local held = held_by(holder, base_key, active_key)
for _, job in ipairs(held) do
  redis.call('PEXPIRE', job[2], lock_ms)
  redis.call('SREM', stalled_key, job[1])
end
return #held
