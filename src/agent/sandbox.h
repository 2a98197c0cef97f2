#ifndef TC_AGENT_SANDBOX_H
#define TC_AGENT_SANDBOX_H

#include "agent/board.h"
#include "agent/runtime.h"
#include "base/cleanup.h"
#include "tcgw/metadata.h"

#include <stddef.h>
#include <stdint.h>

/*
 * What stands between one container and the board. A call goes through only when the metadata's system-call mask has
 * its bit, and open only for an endpoint of the metadata that leads to a part of this board, to another container
 * (bus.h), or out over its radio (and then for writing only); read and write only in the endpoint's direction.
 * Everything else answers -1, is counted, and leaves a line in the log.
 */
#define SANDBOX_LOG_SIZE 4096
#define SANDBOX_LINE_SIZE 256 /* longer lines of a container are cut */
#define SANDBOX_DESCRIPTORS 8

struct sandbox;

struct sandbox_counters {
    uint64_t calls;
    uint64_t denials;
    uint64_t heartbeats;
};

/* Both must outlive the sandbox. NULL when there is no memory. */
struct sandbox *sandbox_new(const struct metadata *md, struct board *board);
struct sandbox *sandbox_free(struct sandbox *s); /* returns NULL */

/* The host for a runtime; valid as long as the sandbox. */
const struct runtime_host *sandbox_host(const struct sandbox *s);

/* Before a fresh start: closes all descriptors; log and counters stay. From then on messages of other containers are
 * taken, until the end. */
void sandbox_begin(struct sandbox *s);
void sandbox_end(struct sandbox *s);

struct sandbox_counters sandbox_counters(const struct sandbox *s);

/* Adds a line that begins with "agent: ". */
void sandbox_note(struct sandbox *s, const char *format, ...) printf_like(2, 3);

/* As container_log and container_log_revision. */
size_t sandbox_log(const struct sandbox *s, char *out, size_t size);
uint32_t sandbox_log_revision(const struct sandbox *s);

#define cleanup_sandbox cleanup(sandbox_free_pointer)
static inline void sandbox_free_pointer(struct sandbox **s)
{
    *s = sandbox_free(*s);
}

#endif
