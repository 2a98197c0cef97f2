#ifndef TC_CODEC_PACK_H
#define TC_CODEC_PACK_H

#include "base/buffer.h"
#include "base/cursor.h"
#include "codec/telemetry.h"

/*
 * Records in few bytes and without loss: the body of a telemetry entry of the journal (a message with any names), and
 * a sealed chunk of the history (one series, ordered by time). Each record is told by how it differs from the one
 * before it of the same name, so that regular ones take one to three bytes:
 *
 *   header    bits 0-2 how the value is written (enum coding in pack.c), bit 3 a time follows, bit 4 attributes follow,
 *             bits 5-6 whose it is: 0 the same name as before, 1 the name that came after this one the last time,
 *             2 a slot number follows; bit 7 is 0
 *   slot      varint: 0 a new name, which follows with its NUL and takes the next of PACK_SLOTS slots (then the oldest
 *             one); n: that of slot n - 1
 *   attributes  bits 0-5 flags, bit 6 a sum ends the record, bit 7 a unit follows with its NUL; kept for the next one
 *   time      the change of the step from record to record: varint, its lower bits 0 microseconds, 1 milliseconds,
 *             2 seconds, above them the zigzag number; 3: 8 bytes follow. A new name's is the step from the record
 *             before it, and the first record's from 1970
 *   value     numbers: nothing when it is the same again; as m / 10^e the zigzag varint of the change of m, or e and m;
 *             float, double (little-endian); others: their kind, a varint of the size, the bytes
 *   sum       a byte as bits 0-2 of the header, then as a number
 */

#define PACK_SLOTS 64

/* A number and what the next one of its kind is told from. */
struct pack_number {
    double value;
    int64_t mantissa;
    uint8_t exponent;
};

struct pack_slot {
    const char *name, *unit;
    int64_t time, step;
    struct pack_number number, sum;
    uint8_t flags; /* with that of a sum */
    uint8_t next;  /* the slot that came after this one */
};

struct pack_state {
    struct pack_slot slots[PACK_SLOTS];
    unsigned used, names; /* names: ever seen */
    unsigned slot;        /* of the last record */
};

struct pack_writer {
    struct pack_state state;
    struct buffer *out;
};

/* Appends records to `out` (borrowed), whose sticky error tells of memory. Names and units must outlive the writer. */
void pack_writer_init(struct pack_writer *writer, struct buffer *out);
/* Records over the limits of codec/telemetry.h make `out` fail. Flags above 63 are lost. */
void pack_write(struct pack_writer *writer, const struct telemetry_record *record);
/* All of an array. */
void pack_write_all(struct buffer *out, const struct telemetry_record *records, size_t count);

struct pack_reader {
    struct pack_state state;
    struct cursor in;
};

/* The bytes are borrowed, and records point into them. */
void pack_reader_init(struct pack_reader *reader, const void *data, size_t size);
/* 1 and a record; 0 at the end; -EBADMSG when the bytes are no pack (from then on). */
int pack_read(struct pack_reader *reader, struct telemetry_record *record) must_check;

#endif
