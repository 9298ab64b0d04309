"""Scripts for wrk. Each prints one line at its end that readers/wrk.py reads."""

END = """
done = function(summary, latency)
  local e, counts = summary.errors, {}
  for _, thread in ipairs(threads) do
    counts[1] = (counts[1] or 0) + (thread:get("refused") or 0)
    counts[2] = (counts[2] or 0) + (thread:get("other") or 0)
  end
  io.write(string.format(
    'figures: {"requests": %d, "microseconds": %d, "p99": %.3f, "refused": %d, "other": %d, "socket_errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(99) / 1000, counts[1], counts[2],
    e.connect + e.read + e.write + e.timeout))
end
"""

THREADS = """
threads = {}
refused, other = 0, 0
function setup(thread) table.insert(threads, thread) end
"""

# Another key of the right form with each request. The answers are counted.
GUESS = (
    THREADS
    + """
local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
init = function(args)
  math.randomseed(tonumber(args[1]))
end
request = function()
  local key = {}
  for place = 1, 43 do
    local letter = math.random(#letters)
    key[place] = letters:sub(letter, letter)
  end
  local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer mh_" .. table.concat(key)}
  return wrk.format("POST", "/", headers, '{"index": 2}')
end
response = function(status)
  if status == 401 then refused = refused + 1 else other = other + 1 end
end
"""
    + END
)

# One prediction over and over, with a header that may be a key.
ASK = (
    THREADS
    + """
init = function(args)
  local headers = {["Content-Type"] = "application/json"}
  if args[1] then headers["Authorization"] = args[1] end
  text = wrk.format("POST", "/", headers, '{"index": 2}')
end
request = function() return text end
"""
    + END
)
