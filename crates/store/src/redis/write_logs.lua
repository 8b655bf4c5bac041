-- Operations on logs: the part of the script that writes between documents and batches.

local function append(log, entries)
  local info = call('HMGET', prefix .. 'log:' .. log, 'last_seq', 'bytes', 'largest')
  local last, bytes, largest = tonumber(info[1] or 0), tonumber(info[2] or 0), tonumber(info[3] or 0)
  if not info[1] then
    call('ZADD', prefix .. 'logs', 0, log)
    call('HSET', prefix .. 'log:' .. log, 'first_seq', 1)
  end
  local placed = {}
  for place, entry in ipairs(entries) do
    local time, dedupe, value = entry[1], entry[2], entry[3]
    local seq = digits(last + 1)
    if dedupe ~= '' and call('HSETNX', prefix .. 'dedupe:' .. log, dedupe, seq) == 0 then
      placed[place] = -tonumber(call('HGET', prefix .. 'dedupe:' .. log, dedupe))
    else
      if dedupe == '' then
        call('XADD', prefix .. 'entries:' .. log, seq .. '-0', 'time_ms', time, 'value', value)
      else
        call('XADD', prefix .. 'entries:' .. log, seq .. '-0', 'time_ms', time, 'dedupe', dedupe, 'value', value)
      end
      local size = #value + #dedupe + ENTRY_OVERHEAD_BYTES
      last, bytes, largest = last + 1, bytes + size, math.max(largest, size)
      placed[place] = last
      if entry.notes then
        note(entry.notes, seq)
      end
    end
  end
  call('HSET', prefix .. 'log:' .. log, 'last_seq', digits(last), 'bytes', digits(bytes), 'largest', digits(largest))
  return placed
end

local function plan_append(index, noted)
  local log, entries = take(), {}
  for place = 1, tonumber(take()) do
    local entry = { take(), take(), take() }
    if noted then
      entry.notes = noted()
    end
    entries[place] = entry
  end
  appends[#appends + 1] = { index = index, log = log, entries = entries }
  steps[index] = function()
    return append(log, entries)
  end
end

function plan.append(index)
  plan_append(index)
end

plan['append noted'] = function(index)
  unsure = true
  plan_append(index, function()
    local notes = {}
    for number = 1, tonumber(take()) do
      local collection, start, value, expires = take(), take(), take(), take()
      notes[number] =
        { collection = collection, prefix = start, value = value, expires = expires, version = next_version() }
    end
    return notes
  end)
end

-- XDEL only marks an entry: its bytes stay in memory, and in what Redis saves, until nothing is left in the same node of the
-- stream. So all that may lie in it moves into the hash, too. A node takes no more once it holds so many bytes or entries
-- (Redis's own stream-node-max-bytes and stream-node-max-entries).
local NODE_BYTES, NODE_ENTRIES = 4096, 100

local function move_node(log, seq, size, largest)
  local ids, fields_of = {}, {}
  local function chunk()
    return math.min(16, chunk_of(largest))
  end
  for _, up in ipairs({ true, false }) do
    local first, last = up and seq + 1 or math.max(1, seq + 1 - NODE_ENTRIES), up and seq - 1 + NODE_ENTRIES or seq - 1
    local bytes = up and size or 0
    for near, time, dedupe, value, entry in entries_of(prefix, log, first, last, up, false, chunk) do
      local own = #time + #dedupe + #value
      if bytes + (up and 0 or own) >= NODE_BYTES then
        break
      end
      bytes = bytes + own
      ids[#ids + 1] = entry[1]
      fields_of[#fields_of + 1] = digits(near)
      fields_of[#fields_of + 1] = kept(time, dedupe, value)
    end
  end
  if #ids > 0 then
    call('HSET', prefix .. 'amended:' .. log, unpack(fields_of))
    call('XDEL', prefix .. 'entries:' .. log, unpack(ids))
  end
  return #ids
end

local function amend(log, seq, value)
  local info = call('HMGET', prefix .. 'log:' .. log, 'first_seq', 'last_seq', 'bytes', 'largest', 'amended')
  if not info[1] or seq < tonumber(info[1]) or seq > tonumber(info[2]) then
    return 0
  end
  local bytes, largest, amended = tonumber(info[3]), tonumber(info[4]), tonumber(info[5] or 0)
  local amended_key, field = prefix .. 'amended:' .. log, digits(seq)
  local _, time, dedupe, old, moved
  local entry = call('XRANGE', prefix .. 'entries:' .. log, field .. '-0', field .. '-0')[1]
  if entry then
    _, time, dedupe, old = fields(entry)
    call('XDEL', prefix .. 'entries:' .. log, entry[1])
    moved = 1 + move_node(log, seq, #time + #dedupe + #old, largest)
  else
    local text = call('HGET', amended_key, field)
    if not text then
      return 0
    end
    time, dedupe, old = unkept(text)
    -- If it is there as a neighbour of another one, its own node may still be there.
    moved = move_node(log, seq, 0, largest)
  end
  call('HSET', amended_key, field, kept(time, dedupe, value))
  bytes, largest = bytes + #value - #old, math.max(largest, #value + #dedupe + ENTRY_OVERHEAD_BYTES)
  local left = digits(amended + moved)
  call('HSET', prefix .. 'log:' .. log, 'bytes', digits(bytes), 'largest', digits(largest), 'amended', left)
  if amended == 0 then
    -- Older versions look for entries in the stream alone.
    call('SET', prefix .. 'format', '2')
  end
  return 1
end

function plan.amend(index)
  local log, seq, value = take(), tonumber(take()), take()
  steps[index] = function()
    return amend(log, seq, value)
  end
end

local function trim(log, bound)
  local info = call('HMGET', prefix .. 'log:' .. log, 'first_seq', 'last_seq', 'bytes', 'largest', 'amended')
  if not info[1] then
    return { 0, 1, 0 }
  end
  local first, last, bytes, largest = tonumber(info[1]), tonumber(info[2]), tonumber(info[3]), tonumber(info[4])
  local amended = tonumber(info[5] or 0)
  local function takes(time)
    return (bound.seq and first < bound.seq)
      or (bound.entries and last + 1 - first > bound.entries)
      or (bound.bytes and bytes > bound.bytes)
      or (bound.time and time and less(time, bound.time))
  end
  local removed, more, dead, gone, least = 0, false, {}, {}, bytes - TRIM_BYTES
  if first <= last and (bound.time or takes()) then
    -- The first look is short: mostly little goes. Later ones hold as much as fits in memory whatever its size.
    local chunk, most = 2, chunk_of(largest)
    local entries = entries_of(prefix, log, first, last, true, amended > 0, function()
      local count = math.min(chunk, most)
      chunk = chunk * 8
      return count
    end)
    for seq, time, dedupe, value, _, text in entries do
      if not takes(time) then
        break
      elseif removed == REMOVE_AT_ONCE or bytes < least then
        more = true
        break
      end
      first, removed = seq + 1, removed + 1
      bytes = bytes - (#value + #dedupe + ENTRY_OVERHEAD_BYTES)
      if dedupe ~= '' then
        dead[#dead + 1] = dedupe
      end
      if text then
        gone[#gone + 1] = digits(seq)
      end
    end
  end
  if removed > 0 then
    call('XTRIM', prefix .. 'entries:' .. log, 'MINID', '=', digits(first))
    remove_all('HDEL', prefix .. 'dedupe:' .. log, dead)
    largest = first > last and 0 or largest
    call('HSET', prefix .. 'log:' .. log, 'first_seq', digits(first), 'bytes', digits(bytes), 'largest', digits(largest))
  end
  if #gone > 0 then
    remove_all('HDEL', prefix .. 'amended:' .. log, gone)
    call('HSET', prefix .. 'log:' .. log, 'amended', digits(amended - #gone))
  end
  return { removed, first, more and 1 or 0 }
end

function plan.trim(index)
  local log = take()
  local bound = { seq = tonumber(take()), entries = tonumber(take()), bytes = tonumber(take()) }
  local time = take()
  bound.time = time ~= '' and time
  steps[index] = function()
    return trim(log, bound)
  end
end

plan['remove log'] = function(index)
  local log = take()
  steps[index] = function()
    local own = prefix .. 'amended:' .. log
    call('UNLINK', prefix .. 'log:' .. log, prefix .. 'entries:' .. log, prefix .. 'dedupe:' .. log, own)
    return call('ZREM', prefix .. 'logs', log)
  end
end
