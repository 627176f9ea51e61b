-- Plays the posts of a magazine (bench/bodies.py) through wrk, each once. Arguments: "close" or
-- "keep-alive", the common head, the bytes of a post, then file and first post of each thread.
local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init(args)
   local connection = args[1] == "close" and "Connection: close\r\n" or ""
   start_line = args[2] .. connection
   size = tonumber(args[3])
   file = assert(io.open(args[4 + 2 * number], "rb"))
   file:setvbuf("full", 256 * 1024)
   file:seek("set", size * tonumber(args[5 + 2 * number]))
   sent = 0
   ran_out = 0
end

function request()
   local post = file:read(size)
   if not post then -- bench.load refuses such a run
      ran_out = 1
      file:seek("set", 0)
      post = file:read(size)
   end
   sent = sent + 1
   return start_line .. post
end

function done(summary, latency, requests)
   local used = {}
   local out = 0
   for i, thread in ipairs(threads) do
      used[i] = thread:get("sent")
      out = out + thread:get("ran_out")
   end
   local e = summary.errors
   io.write(string.format(
      '\nRESULT {"answers": %d, "duration_us": %d, "refused": %d, "broken": %d, "timeouts": %d, '
      .. '"p50_us": %d, "p99_us": %d, "max_us": %d, "ran_out": %d, "used": [%s]}\n',
      summary.requests, summary.duration, e.status, e.connect + e.read + e.write, e.timeout,
      latency:percentile(50), latency:percentile(99), latency.max, out, table.concat(used, ", ")))
end
