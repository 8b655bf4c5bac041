-- An entry with the next number of its counter.
-- KEYS: the stream, the counter, and what notes that it was appended, if it is to be appended once. ARGV: the number that it
-- must exceed, the stream's length, seconds that the counter is kept, milliseconds that the note is, then the entry's fields.
if KEYS[3] then
  local before = redis.call('GET', KEYS[3])
  if before then
    return {'0-0', before}
  end
end
local floor = tonumber(ARGV[1])
local last = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') or 0, floor)
-- Not by tostring, which writes large numbers with an exponent.
local number = string.format('%.0f', last + 1)
local entry = {unpack(ARGV, 5)}
entry[#entry + 1] = 'n'
entry[#entry + 1] = number
-- The entry first: if the stream takes none, nothing is counted.
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', unpack(entry))
redis.call('SET', KEYS[2], number, 'EX', ARGV[3])
if KEYS[3] then
  redis.call('SET', KEYS[3], number, 'PX', ARGV[4])
end
return {id, number}
