-- wrk script: each request asks another device for its container's state, past the gateway's cache.
local devices = tonumber(os.getenv("BENCH_DEVICES"))
local number = 0

function request()
    number = (number + 1) % devices
    return wrk.format("GET", "/v1/devices/bench-" .. number .. "/containers/job", {["Cache-Control"] = "no-cache"})
end
