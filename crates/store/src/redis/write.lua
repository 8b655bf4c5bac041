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
-- An operation of it changes documents that nobody can name before it is done: those behind it look again when their turn comes.
local unsure
-- Its appends, for the search for duplicates before anything else.
local appends

local function stored(place)
  local found = call('HMGET', prefix .. 'document:' .. place, 'version', 'expires_at_ms')
  return { version = found[1], expires = found[2] }
end

local function document(place)
  documents[place] = documents[place] or stored(place)
  return documents[place]
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

local function put(collection, key, value, version, old, new)
  local place = collection .. ':' .. key
  call('HSET', prefix .. 'document:' .. place, 'version', version, 'value', value)
  call('ZADD', prefix .. 'keys:' .. collection, 0, key)
  set_expiry(place, old, new)
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
  local late = unsure
  steps[index] = function()
    if late then
      old = stored(place).expires
    end
    put(collection, key, value, version, old, new)
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
  local late = unsure
  steps[index] = function()
    if late then
      known = stored(place)
      existed, old = current(known), known.expires
    end
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
  local late = unsure
  steps[index] = function()
    if late then
      known = stored(place)
      version, old = current(known), known.expires
    end
    if old then
      call('ZREM', prefix .. 'expiries', padded(old) .. place)
    end
    call('UNLINK', prefix .. 'document:' .. place)
    call('ZREM', prefix .. 'keys:' .. collection, key)
    return version and 1 or 0
  end
end

local function delete_range(collection, lower, upper, limit)
  local keys, removed, more, dead, expired = prefix .. 'keys:' .. collection, 0, false, {}, {}
  local chunk = math.min(limit + 1, 1000)
  lower, upper = '[' .. lower, upper == '' and '+' or '(' .. upper
  repeat
    local names = call('ZRANGEBYLEX', keys, lower, upper, 'LIMIT', 0, chunk)
    for _, name in ipairs(names) do
      local place = collection .. ':' .. name
      local known = stored(place)
      if current(known) then
        more = removed == limit
        if more then
          break
        end
        call('UNLINK', prefix .. 'document:' .. place)
        removed = removed + 1
        dead[removed] = name
        if known.expires then
          expired[#expired + 1] = padded(known.expires) .. place
        end
      end
      lower = '(' .. name
    end
  until more or #names < chunk
  remove_all('ZREM', keys, dead)
  remove_all('ZREM', prefix .. 'expiries', expired)
  return { removed, more and 1 or 0 }
end

plan['delete range'] = function(index)
  local collection, lower, upper, limit = take(), take(), take(), tonumber(take())
  unsure = true
  steps[index] = function()
    return delete_range(collection, lower, upper, limit)
  end
end

-- Puts the documents that go with an entry.
local function note(notes, seq)
  for _, one in ipairs(notes) do
    local key = one.prefix .. string.rep('0', SEQ_DIGITS - #seq) .. seq
    local old = stored(one.collection .. ':' .. key).expires
    put(one.collection, key, one.value, one.version, old, one.expires ~= '' and one.expires)
  end
end
