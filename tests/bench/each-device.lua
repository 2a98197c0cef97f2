-- wrk script part: each request asks for the path of another device; BENCH_FRESH: past the gateway's cache; BENCH_TOKEN:
-- as whom; BENCH_PATCH: what is changed, with a number in it.
local devices = tonumber(os.getenv("BENCH_DEVICES"))
local path = os.getenv("BENCH_PATH")
local headers = {}
local number = tonumber(os.getenv("BENCH_FIRST"))

if os.getenv("BENCH_FRESH") ~= "" then
    headers["Cache-Control"] = "no-cache"
end

if os.getenv("BENCH_TOKEN") ~= "" then
    headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
end

local body = os.getenv("BENCH_PATCH")

function request()
    number = (number + 1) % devices
    if body ~= "" then
        headers["Content-Type"] = "application/merge-patch+json"
        return wrk.format("PATCH", string.format(path, number), headers, string.format(body, number))
    end
    return wrk.format("GET", string.format(path, number), headers)
end
