-- What a writer does first on a new connection: it looks whose keys these are, and puts its mark, so that what an older connection
-- of it still holds is not executed after this.
--
-- KEYS[1]: the writer's mark. ARGV: the mark, the prefix of all keys, the newest format known, and milliseconds that the mark
-- lasts. Answers the format that is there if it is a newer one, and otherwise the newest known.

local format = redis.call('GET', ARGV[2] .. 'format')
if format and tonumber(format) > tonumber(ARGV[3]) then
  return format
end
-- A server that lost its last moment, or everything, has lost the counter of versions that were given out. Its clock in
-- microseconds leads past them: nobody writes a million documents a second.
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
if tonumber(redis.call('GET', ARGV[2] .. 'versions') or 0) < clock then
  redis.call('SET', ARGV[2] .. 'versions', string.format('%.0f', clock))
end
if not format then
  redis.call('SET', ARGV[2] .. 'format', '1')
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return ARGV[3]
