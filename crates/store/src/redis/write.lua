-- Batches, each applied whole or not at all. Redis runs a script alone but doesn't undo one that stops halfway, so the first
-- pass over a batch finds out whether any operation is refused, and only then does the second one write.
--
-- KEYS[1]: the writer's mark. ARGV: the mark it must hold, the prefix of all keys, and for each batch the number of its
-- arguments, now, "1" to give way to duplicates, and the operations. Answers nothing if the mark is another one; otherwise for each
-- batch {"done", results}, {"skipped", operation, places}, {"conflict", operation, version or ""}, {"score", operation, score}
-- or {"error", text}.

local mark, prefix = take(), take()

-- Another connection of this writer has come since: what is left of the old one must not overtake it.
if call('GET', KEYS[1]) ~= mark then
  return {}
end

local function padded(number)
  return string.rep('0', 20 - #number) .. number
end

-- Deletes fields or members: Lua can't pass any number of arguments at once.
local function remove_all(command, key, names)
  for first = 1, #names, 1000 do
    call(command, key, unpack(names, first, math.min(first + 999, #names)))
  end
end

-- What the batch has made so far of documents and scores, and what it will write.
local now, documents, scores, steps, base, given
-- Its appends, for the search for duplicates before anything else.
local appends

local function document(place)
  local known = documents[place]
  if not known then
    local stored = call('HMGET', prefix .. 'document:' .. place, 'version', 'expires_at_ms')
    known = { version = stored[1], expires = stored[2] }
    documents[place] = known
  end
  return known
end

local function current(known)
  return known.version and (not known.expires or less(now, known.expires)) and known.version
end

local function holds(condition, version)
  if condition == 'any' then
    return true
  elseif condition == 'absent' then
    return not version
  end
  return condition == version
end

local function next_version()
  base = base or tonumber(call('GET', prefix .. 'versions') or 0)
  given = given + 1
  return digits(base + given)
end

-- Versions are never given twice: one that a refused batch tells its caller about is used up as well.
local function keep_versions()
  if given > 0 then
    call('INCRBY', prefix .. 'versions', given)
  end
end

local function set_expiry(place, old, new)
  if old and old ~= new then
    call('ZREM', prefix .. 'expiries', padded(old) .. place)
  end
  if new then
    call('HSET', prefix .. 'document:' .. place, 'expires_at_ms', new)
    call('ZADD', prefix .. 'expiries', 0, padded(new) .. place)
  elseif old then
    call('HDEL', prefix .. 'document:' .. place, 'expires_at_ms')
  end
end

local plan = {}

function plan.put(index)
  local collection, key, value, condition, expires = take(), take(), take(), take(), take()
  local place = collection .. ':' .. key
  local known = document(place)
  local version = current(known)
  if not holds(condition, version) then
    return { 'conflict', index, version or '' }
  end
  local old, new = known.expires, expires ~= '' and expires
  version = next_version()
  known.version, known.expires = version, new
  steps[index] = function()
    call('HSET', prefix .. 'document:' .. place, 'version', version, 'value', value)
    call('ZADD', prefix .. 'keys:' .. collection, 0, key)
    set_expiry(place, old, new)
    return version
  end
end

function plan.touch(index)
  local collection, key, expires = take(), take(), take()
  local place = collection .. ':' .. key
  local known = document(place)
  local existed = current(known)
  local old, new = known.expires, expires ~= '' and expires
  if existed then
    known.expires = new
  end
  steps[index] = function()
    if not existed then
      return 0
    end
    set_expiry(place, old, new)
    return 1
  end
end

function plan.delete(index)
  local collection, key, condition = take(), take(), take()
  local place = collection .. ':' .. key
  local known = document(place)
  local version, old = current(known), known.expires
  if not holds(condition, version) then
    return { 'conflict', index, version or '' }
  end
  known.version, known.expires = false, false
  steps[index] = function()
    if old then
      call('ZREM', prefix .. 'expiries', padded(old) .. place)
    end
    call('UNLINK', prefix .. 'document:' .. place)
    call('ZREM', prefix .. 'keys:' .. collection, key)
    return version and 1 or 0
  end
end

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
    end
  end
  call('HSET', prefix .. 'log:' .. log, 'last_seq', digits(last), 'bytes', digits(bytes), 'largest', digits(largest))
  return placed
end

function plan.append(index)
  local log, entries = take(), {}
  for place = 1, tonumber(take()) do
    entries[place] = { take(), take(), take() }
  end
  appends[#appends + 1] = { index = index, log = log, entries = entries }
  steps[index] = function()
    return append(log, entries)
  end
end

local function trim(log, bound)
  local info = call('HMGET', prefix .. 'log:' .. log, 'first_seq', 'last_seq', 'bytes', 'largest')
  if not info[1] then
    return { 0, 1, 0 }
  end
  local first, last, bytes, largest = tonumber(info[1]), tonumber(info[2]), tonumber(info[3]), tonumber(info[4])
  local function takes(time)
    return (bound.seq and first < bound.seq)
      or (bound.entries and last + 1 - first > bound.entries)
      or (bound.bytes and bytes > bound.bytes)
      or (bound.time and time and less(time, bound.time))
  end
  local entries_key = prefix .. 'entries:' .. log
  local removed, more, dead, least = 0, false, {}, bytes - TRIM_BYTES
  -- The first look is short: mostly little goes. Later ones hold as much as fits in memory whatever its size.
  local most, chunk = chunk_of(largest), 2
  local going = first <= last and (bound.time or takes())
  while going do
    local entries = call('XRANGE', entries_key, digits(first), '+', 'COUNT', math.min(chunk, most))
    chunk = chunk * 8
    going = #entries > 0
    for _, entry in ipairs(entries) do
      local seq, time, dedupe, value = fields(entry)
      if not takes(time) then
        going = false
        break
      elseif removed == REMOVE_AT_ONCE or bytes < least then
        going, more = false, true
        break
      end
      first, removed = tonumber(seq) + 1, removed + 1
      bytes = bytes - (#value + #dedupe + ENTRY_OVERHEAD_BYTES)
      if dedupe ~= '' then
        dead[#dead + 1] = dedupe
      end
    end
  end
  if removed > 0 then
    call('XTRIM', entries_key, 'MINID', '=', digits(first))
    remove_all('HDEL', prefix .. 'dedupe:' .. log, dead)
    largest = first > last and 0 or largest
    call('HSET', prefix .. 'log:' .. log, 'first_seq', digits(first), 'bytes', digits(bytes), 'largest', digits(largest))
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
    call('UNLINK', prefix .. 'log:' .. log, prefix .. 'entries:' .. log, prefix .. 'dedupe:' .. log)
    return call('ZREM', prefix .. 'logs', log)
  end
end

local function ranking_of(name)
  scores[name] = scores[name] or {}
  return scores[name]
end

-- The score that a member has by now, or nil.
local function score_of(name, member)
  local ranking = ranking_of(name)
  if ranking[member] == nil then
    local stored = not ranking[1] and call('ZSCORE', prefix .. 'ranking:' .. name, member)
    ranking[member] = stored and tonumber(stored)
  end
  return ranking[member] or nil
end

local function set_score(index, name, member, score)
  local text = string.format('%.17g', score)
  steps[index] = function()
    return { text, call('ZADD', prefix .. 'ranking:' .. name, text, member) }
  end
end

plan['set score'] = function(index)
  local name, member, score = take(), take(), tonumber(take())
  ranking_of(name)[member] = score
  set_score(index, name, member, score)
end

plan['add score'] = function(index)
  local name, member, by = take(), take(), tonumber(take())
  local score = (score_of(name, member) or 0) + by
  if score ~= score or math.abs(score) == math.huge then
    return { 'score', index, tostring(score) }
  end
  if score == 0 then
    score = 0 -- and not the negative one
  end
  ranking_of(name)[member] = score
  set_score(index, name, member, score)
end

plan['remove member'] = function(index)
  local name, member = take(), take()
  ranking_of(name)[member] = false
  steps[index] = function()
    return call('ZREM', prefix .. 'ranking:' .. name, member)
  end
end

plan['remove ranking'] = function(index)
  local name = take()
  -- At 1, where no member's name can be (they are texts): what is stored doesn't count any more.
  scores[name] = { true }
  steps[index] = function()
    return call('UNLINK', prefix .. 'ranking:' .. name)
  end
end

-- Removed logs and rankings are freed by Redis itself, so only expired documents are left to purge.
function plan.purge(index)
  local limit = tonumber(take())
  steps[index] = function()
    local dead = call('ZRANGEBYLEX', prefix .. 'expiries', '-', '(' .. padded(now) .. '\255', 'LIMIT', 0, limit)
    for _, entry in ipairs(dead) do
      local place = string.sub(entry, 21)
      local collection, key = string.match(place, '^([^:]*):(.*)$')
      call('UNLINK', prefix .. 'document:' .. place)
      call('ZREM', prefix .. 'keys:' .. collection, key)
    end
    remove_all('ZREM', prefix .. 'expiries', dead)
    return { #dead, #dead >= limit and 1 or 0 }
  end
end

local function duplicates()
  for _, op in ipairs(appends) do
    local placed, any = {}, false
    for place, entry in ipairs(op.entries) do
      local seq = entry[2] ~= '' and call('HGET', prefix .. 'dedupe:' .. op.log, entry[2])
      placed[place] = seq and -tonumber(seq) or 0
      any = any or seq
    end
    if any then
      return { 'skipped', op.index, placed }
    end
  end
end

local function apply(last)
  documents, scores, steps, appends = {}, {}, {}, {}
  base, given = nil, 0
  now = take()
  local gives_way = take() == '1'
  local refused
  local index = 0
  while at < last do
    index = index + 1
    -- A refusal doesn't end the pass: a duplicate further on goes before it.
    local refusal = plan[take()](index)
    refused = refused or refusal
  end
  local skipped = gives_way and duplicates()
  if skipped then
    return skipped
  end
  if refused then
    local told = refused[1] == 'conflict' and tonumber(refused[3])
    if told and base and told > base then
      keep_versions()
    end
    return refused
  end
  keep_versions()
  local results = {}
  for number, step in ipairs(steps) do
    results[number] = step()
  end
  return { 'done', results }
end

local answers = {}
while at < #ARGV do
  local last = tonumber(take()) + at
  -- An error stops its own batch alone.
  local ran, answer = pcall(apply, last)
  if not ran then
    answer = { 'error', type(answer) == 'table' and answer.err or tostring(answer) }
  end
  answers[#answers + 1] = answer
  at = last
end
return answers
