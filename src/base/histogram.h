#ifndef TC_BASE_HISTOGRAM_H
#define TC_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * How values are spread: counts of those up to each of a few bounds, as Prometheus wants them. A fixed size, no lock:
 * it belongs to one thread, or to what guards its owner.
 */

#define HISTOGRAM_BOUNDS_MAX 16

/* The bounds of a kind of value, ascending, and how many of the unit make one of the unit that is shown. */
struct histogram_scale {
    uint64_t bounds[HISTOGRAM_BOUNDS_MAX]; /* ends with 0 when there are fewer */
    double divisor;
};

extern const struct histogram_scale histogram_micros; /* microseconds, 100 us to 1 min, shown as seconds */
extern const struct histogram_scale histogram_millis; /* milliseconds, 5 ms to 1 h, shown as seconds */
extern const struct histogram_scale histogram_counts; /* numbers of things, 1 to 16384 */

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* of values above the bound before and up to this one; then of more */
    uint64_t sum;
};

void histogram_add(struct histogram *histogram, const struct histogram_scale *scale, uint64_t value);
size_t histogram_bound_count(const struct histogram_scale *scale);
void histogram_merge(struct histogram *into, const struct histogram *from);

#endif
