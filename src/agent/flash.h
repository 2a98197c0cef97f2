#ifndef TC_AGENT_FLASH_H
#define TC_AGENT_FLASH_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

/*
 * The non-volatile memory of a device: what of its security context survives a restart (RFC 8613 Appendix B.1). It is a
 * file where there is a directory, named after the credentials, so that a device finds its own whatever its port is;
 * else it lasts as long as the process.
 */
#define FLASH_STEP 64 /* sequence numbers that are reserved at once */
#define FLASH_NAME_SIZE 33

struct flash_state {
    bool lost;         /* neither ID Context nor numbers are known: only Appendix B.2 helps */
    uint64_t reserved; /* numbers below may have been used */
    bool has_id_context;
    uint8_t id_context_size;
    uint8_t id_context[OSCORE_ID_CONTEXT_MAX];
    struct oscore_window window; /* known after a clean end only */
};

struct flash {
    const char *directory; /* NULL: none */
    char name[FLASH_NAME_SIZE];
    struct flash_state state;
};

/* Reads what there is. The directory is made when there is none. A device that has no file yet is new: its credentials
 * were never used. One whose file cannot be read as what it should be has lost its state. Returns 0 or a negative
 * errno. */
int flash_open(struct flash *f, const char *directory, const struct oscore_credentials *credentials) must_check;

/* Makes the state durable: written beside, synchronised and renamed. Returns 0 or a negative errno. */
int flash_write(const struct flash *f) must_check;

#endif
