-- wrk script part: prints the figures as one JSON line.
function done(summary, latency)
    local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.timeout
    print(string.format('BENCH {"requests": %d, "rate": %.1f, "p50_us": %.0f, "p90_us": %.0f, "p99_us": %.0f, "max_us": %.0f, "errors": %d}',
        summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(90),
        latency:percentile(99), latency.max, bad))
end
