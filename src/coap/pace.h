#ifndef TC_COAP_PACE_H
#define TC_COAP_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The size of a transfer's blocks. Larger ones need fewer round trips, smaller ones are lost less often where a link
 * splits them into frames. What is best is found out: when many of the last blocks had to be sent again, smaller ones
 * are tried, and kept if more bytes a second arrive with them; when none was lost, larger ones are taken again.
 */
struct pace {
    uint8_t szx, max;      /* 16 << szx bytes */
    unsigned blocks, lost; /* in the present measurement */
    uint64_t bytes, ms;
    double before; /* bytes per ms with the size before, while this one is on trial; 0: it is not */
    unsigned held; /* measurements for which no smaller size is tried */
};

#define PACE_BLOCKS 8 /* of a measurement */

void pace_begin(struct pace *pace, uint8_t szx, uint8_t max);
/* A block of so many bytes was acknowledged after so many ms; lost: it had to be sent again. pace->szx is the size to
 * go on with. */
void pace_note(struct pace *pace, uint32_t bytes, uint64_t ms, bool lost);

#endif
