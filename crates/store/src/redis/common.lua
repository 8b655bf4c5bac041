-- What both scripts begin with: arguments in turn, numbers as Redis keeps them, entries of a log.
--
-- Numbers of Lua are doubles: sequence numbers and versions stay below 2^53, times are compared as decimal digits.

local call = redis.call
local at = 0

local function take()
  at = at + 1
  return ARGV[at]
end

local function digits(number)
  return string.format('%.0f', number)
end

local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end

-- An entry as XRANGE gives it: its number, time, dedupe key or "", and value.
local function fields(entry)
  local seq, named = string.match(entry[1], '^%d+'), entry[2]
  if named[3] == 'dedupe' then
    return seq, named[2], named[4], named[6]
  end
  return seq, named[2], '', named[4]
end

-- How many entries of a log may be read at once, whatever is in them.
local function chunk_of(largest)
  return math.min(200, math.max(1, math.floor(CHUNK_BYTES / math.max(largest, 1))))
end

-- An entry with an amended value, as the hash holds it: a stream can't change what is in it.
local function kept(time, dedupe, value)
  return time .. ' ' .. #dedupe .. ' ' .. dedupe .. value
end

local function unkept(text)
  local time, length, rest = string.match(text, '^(%d+) (%d+) ()')
  local value = rest + tonumber(length)
  return time, string.sub(text, rest, value - 1), string.sub(text, value)
end

-- Gives the entries of a log in turn, from the first number to the last or back: number, time, dedupe key, value, the entry as
-- XRANGE gives it, and whether it was amended. Numbers have no holes, so one that the stream lacks is in the hash.
local function entries_of(prefix, log, first, last, up, amended, chunk)
  local key, at = prefix .. 'entries:' .. log, up and first or last
  local entries, place, drained = {}, 1, false
  local function fetch()
    local count = chunk()
    if up then
      entries = call('XRANGE', key, digits(at), digits(last), 'COUNT', count)
    else
      entries = call('XREVRANGE', key, digits(at), digits(first), 'COUNT', count)
    end
    place, drained = 1, #entries < count
  end
  return function()
    if at < first or at > last then
      return nil
    end
    if not entries[place] and not drained then
      fetch()
    end
    local entry = entries[place]
    local seq, time, dedupe, value
    if entry then
      seq, time, dedupe, value = fields(entry)
      seq = tonumber(seq)
    end
    local text = seq ~= at and amended and call('HGET', prefix .. 'amended:' .. log, digits(at))
    if text then
      seq = at
      time, dedupe, value = unkept(text)
      local named = { 'time_ms', time, 'dedupe', dedupe, 'value', value }
      if dedupe == '' then
        named = { 'time_ms', time, 'value', value }
      end
      entry = { digits(seq) .. '-0', named }
    elseif entry then
      place = place + 1
    else
      return nil
    end
    at = up and seq + 1 or seq - 1
    return seq, time, dedupe, value, entry, text
  end
end
