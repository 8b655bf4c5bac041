-- Queries, answered from one moment.
--
-- KEYS[1]: any key of the store, for the way to its server. ARGV: the prefix of all keys, now, and the queries. Answers one
-- array for each. What isn't there is an empty array or text.

local prefix, now = take(), take()

local function alive(expires)
  return not expires or less(now, expires)
end

-- A page that ends at its limit or when its bytes do, and then knows that there is more.
local function page(limit)
  local self = { bytes = 0, count = 0, more = 0, items = {} }
  function self.room(bytes)
    if self.count >= limit or (self.count > 0 and self.bytes + bytes > PAGE_BYTES) then
      self.more = 1
    end
    return self.more == 0
  end
  function self.add(bytes, item)
    self.bytes, self.count = self.bytes + bytes, self.count + 1
    self.items[self.count] = item
  end
  return self
end

-- Names of a sorted set in byte order, until `each` says false.
local function walk(key, limit, each)
  local lower, upper, order = '[' .. take(), take(), take()
  upper = upper == '' and '+' or '(' .. upper
  local chunk = math.min(limit + 1, 200)
  while true do
    local names
    if order == 'up' then
      names = call('ZRANGEBYLEX', key, lower, upper, 'LIMIT', 0, chunk)
    else
      names = call('ZREVRANGEBYLEX', key, upper, lower, 'LIMIT', 0, chunk)
    end
    for _, name in ipairs(names) do
      if not each(name) then
        return
      end
    end
    if #names < chunk then
      return
    end
    if order == 'up' then
      lower = '(' .. names[#names]
    else
      upper = '(' .. names[#names]
    end
  end
end

local function reach(log)
  local info = call('HMGET', prefix .. 'log:' .. log, 'first_seq', 'last_seq', 'bytes', 'largest', 'amended')
  return { info[1] or '1', info[2] or '0', info[3] or '0' }, tonumber(info[4] or 0), tonumber(info[5] or 0) > 0
end

local answer = {}

function answer.get()
  local collection, key = take(), take()
  local found = call('HMGET', prefix .. 'document:' .. collection .. ':' .. key, 'version', 'expires_at_ms', 'value')
  if found[1] and alive(found[2]) then
    return { found[1], found[2] or '', found[3] }
  end
  return {}
end

function answer.scan()
  local collection, limit = take(), tonumber(take())
  local found = page(limit)
  walk(prefix .. 'keys:' .. collection, limit, function(key)
    local place = prefix .. 'document:' .. collection .. ':' .. key
    local head = call('HMGET', place, 'version', 'expires_at_ms')
    if not head[1] or not alive(head[2]) then
      return true
    end
    local bytes = call('HSTRLEN', place, 'value')
    if not found.room(bytes) then
      return false
    end
    found.add(bytes, { key, head[1], head[2] or '', call('HGET', place, 'value') })
    return true
  end)
  return { found.more, found.items }
end

-- Entries go out as Redis gives them.
function answer.range()
  local log, limit, from, to, order = take(), tonumber(take()), take(), take(), take()
  local info, largest, amended = reach(log)
  local up = order == 'up'
  if not amended and largest * limit <= PAGE_BYTES then
    -- Whatever they are, they fit.
    local key = prefix .. 'entries:' .. log
    local items = up and call('XRANGE', key, from, to, 'COUNT', limit + 1)
      or call('XREVRANGE', key, to, from, 'COUNT', limit + 1)
    local more = #items > limit and 1 or 0
    items[limit + 1] = nil
    return { info, more, items }
  end
  local found = page(limit)
  local first, last = math.max(tonumber(from), tonumber(info[1])), math.min(tonumber(to), tonumber(info[2]))
  local entries = entries_of(prefix, log, first, last, up, amended, function()
    return math.min(chunk_of(largest), limit + 1 - found.count)
  end)
  for _, _, _, value, item in entries do
    if not found.room(#value) then
      break
    end
    found.add(#value, item)
  end
  return { info, found.more, found.items }
end

function answer.log()
  return (reach(take()))
end

function answer.find()
  return call('HGET', prefix .. 'dedupe:' .. take(), take()) or ''
end

function answer.logs()
  local limit = tonumber(take())
  local found = page(limit)
  walk(prefix .. 'logs', limit, function(log)
    if not found.room(0) then
      return false
    end
    found.add(0, { log, (reach(log)) })
    return true
  end)
  return { found.more, found.items }
end

function answer.score()
  return call('ZSCORE', prefix .. 'ranking:' .. take(), take()) or ''
end

function answer.rank()
  local ranking, member, order = take(), take(), take()
  return call(order == 'up' and 'ZRANK' or 'ZREVRANK', prefix .. 'ranking:' .. ranking, member) or ''
end

answer['by rank'] = function()
  local ranking, first, last, order = take(), take(), take(), take()
  return call(order == 'up' and 'ZRANGE' or 'ZREVRANGE', prefix .. 'ranking:' .. ranking, first, last, 'WITHSCORES')
end

answer['by score'] = function()
  local ranking, min, max, offset, limit, order = take(), take(), take(), take(), take(), take()
  local key = prefix .. 'ranking:' .. ranking
  if order == 'up' then
    return call('ZRANGEBYSCORE', key, min, max, 'WITHSCORES', 'LIMIT', offset, limit)
  end
  return call('ZREVRANGEBYSCORE', key, max, min, 'WITHSCORES', 'LIMIT', offset, limit)
end

function answer.count()
  local ranking, min, max = take(), take(), take()
  return call('ZCOUNT', prefix .. 'ranking:' .. ranking, min, max)
end

local answers = {}
while at < #ARGV do
  answers[#answers + 1] = answer[take()]()
end
return answers
