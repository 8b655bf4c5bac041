-- Writes a node's entry, removes those that were not renewed, and gives the others.
-- KEYS: the hash. ARGV: the field, the entry or nothing, milliseconds that an entry holds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
end
local all = redis.call('HGETALL', KEYS[1])
local alive = {}
for i = 1, #all, 2 do
  local beat = tonumber(string.match(all[i + 1], '^%d+'))
  if beat and now - beat <= tonumber(ARGV[3]) then
    alive[#alive + 1] = all[i]
    alive[#alive + 1] = all[i + 1]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return alive
