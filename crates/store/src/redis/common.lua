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
