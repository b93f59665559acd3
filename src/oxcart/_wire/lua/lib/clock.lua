-- The time in ms: the caller's if it gave one (tests), else the server's, one clock for the fleet.
local function read_clock(given)
  if given ~= '0' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
