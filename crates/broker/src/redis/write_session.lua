-- Writes or drops a session, unless it was taken over since.
-- KEYS: the record, the epoch. ARGV: the writer's epoch, milliseconds that it is kept, and the record, or none to drop it.
local mine = tonumber(ARGV[1])
if (tonumber(redis.call('GET', KEYS[2]) or '0') or 0) > mine then
  return 0
end
if ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
-- The epoch stays even if the session is dropped: or an owner from before the last could still bring it back.
if mine > 0 then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
return 1
