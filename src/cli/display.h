#ifndef TC_CLI_DISPLAY_H
#define TC_CLI_DISPLAY_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Text for people. What the gateway sends may hold anything that a device or another user chose, so it reaches a
 * terminal only through display_append or display_put.
 */

/* Prepares UTF-8 character handling, whatever the user's locale is. Call it once. */
void display_init(void);

/*
 * Appends text with everything escaped that a terminal could take for a command or that reorders text: C0 and C1
 * controls, DEL, bidirectional controls and bytes that are no UTF-8 as \xNN or \uNNNN. `lines` keeps newlines and tabs.
 */
void display_append(struct buffer *b, const char *text, size_t size, bool lines);

/* The same to a stream. */
void display_put(FILE *to, const char *text, size_t size, bool lines);

/* The number of terminal columns of a text that went through display_append. */
size_t display_width(const char *text);

#define DISPLAY_SIZE 32

/* "just now", "3 s ago", "5 min ago", "2 h ago", "4 d ago", "in 30 s". Both in wall ms. Returns out. */
char *display_ago(int64_t then, int64_t now, char out[DISPLAY_SIZE]);
/* "390 B", "1.2 KiB", "3.0 MiB". Returns out. */
char *display_bytes(uint64_t bytes, char out[DISPLAY_SIZE]);
/* "80 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "5 d 3 h". Returns out. */
char *display_duration(int64_t ms, char out[DISPLAY_SIZE]);

/* Reads RFC 3339 in UTC ("2026-01-02T03:04:05.678Z"). */
bool display_parse_time(const char *text, int64_t *wall_ms);

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_CYAN, COLOUR_BOLD, COLOUR_DIM };

/* The sequences that switch a colour on and off; empty strings when colours are off. */
const char *display_colour(enum colour colour, bool on);
const char *display_colour_end(enum colour colour, bool on);

/* How far apart two words are: letters inserted, left out, changed or swapped (optimal string alignment). */
unsigned display_distance(const char *a, const char *b);

#endif
