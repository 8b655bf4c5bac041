-- What a writer does first on a new connection: it looks whose keys these are, and puts its mark, so that what an older connection
-- of it still holds is not executed after this.
--
-- KEYS[1]: the writer's mark. ARGV: the mark, the prefix of all keys, the newest format known, milliseconds that the mark lasts,
-- and by how much the versions jump. Answers the format that is there.

local format = redis.call('GET', ARGV[2] .. 'format')
if format and tonumber(format) ~= tonumber(ARGV[3]) then
  return format
end
-- A server that lost its last moment may have lost versions that were given out: the jump leads past them.
redis.call('INCRBY', ARGV[2] .. 'versions', ARGV[5])
if not format then
  redis.call('SET', ARGV[2] .. 'format', ARGV[3])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return ARGV[3]
