-- Makes the caller a session's owner: from now on nobody writes it with an older epoch.
-- KEYS: the record, the epoch. ARGV: milliseconds that both are kept at least.
local record = redis.call('GET', KEYS[1])
if not record then
  return false
end
local ttl = tonumber(ARGV[1])
local left = redis.call('PTTL', KEYS[1])
-- One that never ends stays so, but its epoch need not: who had it last is long gone by then.
if left >= 0 and left < ttl then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
local epoch = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', math.max(ttl, left)))
return {record, epoch}
