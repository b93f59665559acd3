-- The keys of a queue (wire format, section 1.2). A step may reach into other queues than its own
-- (a child that ends writes into its parent's), so keys are built from what a queue's keys start with;
-- on a cluster, all of them share a slot through the hash tag in the prefix or in the name.
local function queue_keys(base)
  return {
    base = base, wait = base .. 'wait', paused = base .. 'paused', active = base .. 'active',
    prioritized = base .. 'prioritized', delayed = base .. 'delayed',
    children = base .. 'waiting-children', completed = base .. 'completed',
    failed = base .. 'failed', stalled = base .. 'stalled', marker = base .. 'marker',
    meta = base .. 'meta', id = base .. 'id', counter = base .. 'pc', events = base .. 'events',
    limiter = base .. 'limiter', scheduled = base .. 'repeat',
  }
end

-- Who holds a deduplication id.
local function dedup_key(keys, id)
  return keys.base .. 'de:' .. id
end

-- The job to be made when the holder of a deduplication id ends.
local function next_key(keys, id)
  return keys.base .. 'dn:' .. id
end
