#include "base/histogram.h"

const struct histogram_scale histogram_micros = {{100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
                                                  500000, 1000000, 5000000, 15000000, 60000000},
                                                 1e6};
const struct histogram_scale histogram_millis = {
    {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000}, 1e3};
const struct histogram_scale histogram_counts = {{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384},
                                                 1};

size_t histogram_bound_count(const struct histogram_scale *scale)
{
    size_t n = 0;

    while (n < HISTOGRAM_BOUNDS_MAX && scale->bounds[n])
        n++;
    return n;
}

void histogram_add(struct histogram *histogram, const struct histogram_scale *scale, uint64_t value)
{
    size_t i = 0;

    while (i < HISTOGRAM_BOUNDS_MAX && scale->bounds[i] && value > scale->bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum += value;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        into->counts[i] += from->counts[i];
    into->sum += from->sum;
}
