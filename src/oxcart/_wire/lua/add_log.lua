-- Appends a row to a job's log (wire format, section 7.16).
-- Replies: how many rows are kept, or -1 if the job is gone.
local job_key = KEYS[1] -- hash
local logs_key = KEYS[2] -- list, oldest first
local row = ARGV[1] -- text
local keep = ARGV[2] -- rows kept at the most; empty: all

if redis.call('EXISTS', job_key) == 0 then
  return -1
end
if keep == '0' then
  redis.call('DEL', logs_key)
  return 0
end
local count = redis.call('RPUSH', logs_key, row)
if keep == '' then
  return count
end
redis.call('LTRIM', logs_key, -tonumber(keep), -1)
return math.min(tonumber(keep), count)
