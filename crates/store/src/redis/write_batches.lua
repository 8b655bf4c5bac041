-- Operations on rankings, purging, and the batches themselves: the end of the script that writes.

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
  base, given, unsure = nil, 0, false
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
