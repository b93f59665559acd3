-- A worker's last step, remembered: when a reply was lost, the same step may be sent again.
-- Needs lib/text and lib/clock.

-- The jobs of the remembered step that it still holds.
local function still_held(base, job_ids, step_token)
  local held = {}
  for _, job_id in ipairs(job_ids) do
    local job_key = base .. job_id -- an id that this worker took
    if redis.pcall('GET', job_key .. ':lock') == step_token then
      held[#held + 1] = { job_id, redis.call('HGETALL', job_key) }
    end
  end
  return held
end

-- The outcome of this very step if it was done already; an empty one if the worker has gone on
-- since: then a first sending arrives late, and nobody would run what it takes.
local function recall_step(replay_key, base, sequence, given_now)
  local packed = sequence ~= '0' and redis.call('GET', replay_key)
  if not packed then
    return nil
  end
  local last = cmsgpack.unpack(packed)
  if tonumber(last[1]) < tonumber(sequence) then
    return nil
  end
  local codes, held = {}, {}
  if last[1] == sequence then
    codes, held = last[2], still_held(base, last[3], last[4])
  end
  return { int(read_clock(given_now)), '-1', 0, codes, held, {}, 0, 0 }
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
