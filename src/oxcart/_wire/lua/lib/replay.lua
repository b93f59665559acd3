-- A worker's last step, remembered: when a reply was lost, the same step may be sent again.
-- Needs lib/text and lib/clock.

-- The outcome of this very step if it was done already: jobs taken are those still locked by it.
local function recall_step(replay_key, base, sequence, given_now)
  if sequence == '0' then
    return nil
  end
  local packed = redis.call('GET', replay_key)
  if not packed then
    return nil
  end
  local last = cmsgpack.unpack(packed)
  if last[1] ~= sequence then
    return nil
  end
  local taken = {}
  for _, job_id in ipairs(last[3]) do
    local job_key = base .. job_id -- an id that this worker took
    if redis.call('GET', job_key .. ':lock') == last[4] then
      taken[#taken + 1] = { job_id, redis.call('HGETALL', job_key) }
    end
  end
  return { int(read_clock(given_now)), '-1', 0, last[2], taken, {} }
end

local function remember_step(replay_key, sequence, replay_ms, codes, taken, step_token)
  if sequence == '0' then
    return
  end
  local job_ids = {}
  for at, job in ipairs(taken) do
    job_ids[at] = job[1]
  end
  redis.call('SET', replay_key, cmsgpack.pack({ sequence, codes, job_ids, step_token }), 'PX', replay_ms)
end
