-- Reads schedulers, and drops the entries that have no definition (wire format, section 12).
-- An entry of the oldest kind, whose id says everything, never had one and stays.
-- Replies: {{id, due ms, {field, value...}}...}; no fields for an entry of the oldest kind
local scheduled_key = KEYS[1] -- sorted set: id -> due ms of the pending job
local by_id = ARGV[1] -- 1: the one with this id; 0: a range
local first = ARGV[2] -- first position, or the id
local last = ARGV[3] -- last position, inclusive; -1 for the last there is
local ascending = ARGV[4] -- 1: soonest first

local LEGACY_COLONS = 4

local function entries()
  if by_id == '1' then
    local due = redis.call('ZSCORE', scheduled_key, first)
    return due and { first, due } or {}
  end
  local command = ascending == '1' and 'ZRANGE' or 'ZREVRANGE'
  return redis.call(command, scheduled_key, first, last, 'WITHSCORES')
end

local function may_drop(scheduler_id)
  local _, colons = string.gsub(scheduler_id, ':', '')
  return colons ~= LEGACY_COLONS
end

local found, listed = {}, entries()
for at = 1, #listed, 2 do
  local scheduler_id = listed[at]
  local scheduler_key = scheduled_key .. ':' .. scheduler_id -- the id comes from the queue's own set
  local kind = redis.call('TYPE', scheduler_key).ok
  if kind == 'hash' then
    found[#found + 1] = { scheduler_id, listed[at + 1], redis.call('HGETALL', scheduler_key) }
  elseif kind == 'none' and may_drop(scheduler_id) then
    redis.call('ZREM', scheduled_key, scheduler_id)
  elseif kind == 'none' then
    found[#found + 1] = { scheduler_id, listed[at + 1], {} }
  end
end
return found
