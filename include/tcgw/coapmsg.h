#ifndef TCGW_COAPMSG_H
#define TCGW_COAPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The CoAP message model (RFC 7252 section 3). A message owns nothing: option values, token and payload point into the
 * datagram that was decoded, into memory of the caller, or (for unsigned integers) into the message's own scratch. So a
 * message must not be copied by assignment, and must not outlive what it points to.
 */

#define COAPMSG_MAX_OPTIONS 48
#define COAPMSG_MAX_TOKEN 8
#define COAPMSG_SCRATCH 96

enum coapmsg_type { COAPMSG_CON = 0, COAPMSG_NON = 1, COAPMSG_ACK = 2, COAPMSG_RST = 3 };

#define COAPMSG_CODE(class_, detail) ((uint8_t)((class_) << 5 | (detail)))
#define COAPMSG_CLASS(code) ((code) >> 5)
#define COAPMSG_DETAIL(code) ((code)&31)

enum {
    COAPMSG_EMPTY = 0,
    COAPMSG_GET = 1,
    COAPMSG_POST = 2,
    COAPMSG_PUT = 3,
    COAPMSG_DELETE = 4,
    COAPMSG_FETCH = 5,
    COAPMSG_PATCH = 6,
    COAPMSG_IPATCH = 7,
    COAPMSG_CREATED = COAPMSG_CODE(2, 1),
    COAPMSG_DELETED = COAPMSG_CODE(2, 2),
    COAPMSG_VALID = COAPMSG_CODE(2, 3),
    COAPMSG_CHANGED = COAPMSG_CODE(2, 4),
    COAPMSG_CONTENT = COAPMSG_CODE(2, 5),
    COAPMSG_CONTINUE = COAPMSG_CODE(2, 31),
    COAPMSG_BAD_REQUEST = COAPMSG_CODE(4, 0),
    COAPMSG_UNAUTHORIZED = COAPMSG_CODE(4, 1),
    COAPMSG_BAD_OPTION = COAPMSG_CODE(4, 2),
    COAPMSG_FORBIDDEN = COAPMSG_CODE(4, 3),
    COAPMSG_NOT_FOUND = COAPMSG_CODE(4, 4),
    COAPMSG_METHOD_NOT_ALLOWED = COAPMSG_CODE(4, 5),
    COAPMSG_NOT_ACCEPTABLE = COAPMSG_CODE(4, 6),
    COAPMSG_INCOMPLETE = COAPMSG_CODE(4, 8),
    COAPMSG_CONFLICT = COAPMSG_CODE(4, 9),
    COAPMSG_PRECONDITION_FAILED = COAPMSG_CODE(4, 12),
    COAPMSG_TOO_LARGE = COAPMSG_CODE(4, 13),
    COAPMSG_UNSUPPORTED_FORMAT = COAPMSG_CODE(4, 15),
    COAPMSG_UNPROCESSABLE = COAPMSG_CODE(4, 22),
    COAPMSG_TOO_MANY_REQUESTS = COAPMSG_CODE(4, 29), /* RFC 8516 */
    COAPMSG_INTERNAL_ERROR = COAPMSG_CODE(5, 0),
    COAPMSG_NOT_IMPLEMENTED = COAPMSG_CODE(5, 1),
    COAPMSG_BAD_GATEWAY = COAPMSG_CODE(5, 2),
    COAPMSG_UNAVAILABLE = COAPMSG_CODE(5, 3),
    COAPMSG_GATEWAY_TIMEOUT = COAPMSG_CODE(5, 4),
    COAPMSG_PROXYING_NOT_SUPPORTED = COAPMSG_CODE(5, 5),
};

enum {
    COAPMSG_OPT_IF_MATCH = 1,
    COAPMSG_OPT_URI_HOST = 3,
    COAPMSG_OPT_ETAG = 4,
    COAPMSG_OPT_IF_NONE_MATCH = 5,
    COAPMSG_OPT_OBSERVE = 6,
    COAPMSG_OPT_URI_PORT = 7,
    COAPMSG_OPT_LOCATION_PATH = 8,
    COAPMSG_OPT_OSCORE = 9,
    COAPMSG_OPT_URI_PATH = 11,
    COAPMSG_OPT_CONTENT_FORMAT = 12,
    COAPMSG_OPT_MAX_AGE = 14,
    COAPMSG_OPT_URI_QUERY = 15,
    COAPMSG_OPT_ACCEPT = 17,
    COAPMSG_OPT_BLOCK2 = 23,
    COAPMSG_OPT_BLOCK1 = 27,
    COAPMSG_OPT_SIZE2 = 28,
    COAPMSG_OPT_PROXY_URI = 35,
    COAPMSG_OPT_PROXY_SCHEME = 39,
    COAPMSG_OPT_SIZE1 = 60,
    COAPMSG_OPT_ECHO = 252,        /* RFC 9175 */
    COAPMSG_OPT_REQUEST_TAG = 292, /* RFC 9175 */
};

enum {
    COAPMSG_FORMAT_TEXT = 0,
    COAPMSG_FORMAT_LINK = 40,
    COAPMSG_FORMAT_OCTETS = 42,
    COAPMSG_FORMAT_JSON = 50,
    COAPMSG_FORMAT_CBOR = 60,
    COAPMSG_FORMAT_SENML_JSON = 110,
    COAPMSG_FORMAT_SENML_CBOR = 112,
};

struct coapmsg_option {
    uint16_t number;
    uint16_t length;
    const uint8_t *value;
};

struct coapmsg {
    enum coapmsg_type type;
    uint8_t code;
    uint16_t id; /* message ID */
    uint8_t token_length;
    uint8_t token[COAPMSG_MAX_TOKEN];
    size_t option_count;
    struct coapmsg_option options[COAPMSG_MAX_OPTIONS]; /* sorted by number; equal numbers in the order of adding */
    const uint8_t *payload;
    size_t payload_size;
    bool failed; /* sticky: an option did not fit (too many, or scratch used up) */
    size_t scratch_used;
    uint8_t scratch[COAPMSG_SCRATCH];
};

/* Positive results of coapmsg_decode. */
enum coapmsg_error {
    COAPMSG_E_FORMAT = 1, /* message format error (RFC 7252 section 3): reject */
    COAPMSG_E_LIMIT,      /* well-formed so far, but with more options than COAPMSG_MAX_OPTIONS */
};

/* Makes an empty message of the given type and code. */
void coapmsg_init(struct coapmsg *msg, enum coapmsg_type type, uint8_t code);

void coapmsg_set_token(struct coapmsg *msg, const void *token, size_t length);
void coapmsg_set_payload(struct coapmsg *msg, const void *payload, size_t size);

/* Adds an option in its place; the value is not copied. Errors are sticky in msg->failed. */
void coapmsg_add(struct coapmsg *msg, uint16_t number, const void *value, size_t length);
void coapmsg_add_text(struct coapmsg *msg, uint16_t number, const char *value);
/* Adds an option of format uint, in the shortest form; zero has length 0 (RFC 7252 section 3.2). */
void coapmsg_add_uint(struct coapmsg *msg, uint16_t number, uint32_t value);
/* Adds the Uri-Path segments of an absolute path ("/container/" gives "container" and an empty one) without
 * percent-decoding. The path is not copied. */
void coapmsg_add_path(struct coapmsg *msg, const char *path);

/* The first option with a number, NULL when there is none. */
const struct coapmsg_option *coapmsg_find(const struct coapmsg *msg, uint16_t number);
/* The next one with the same number after prev, NULL when there is none. */
const struct coapmsg_option *coapmsg_find_next(const struct coapmsg *msg, const struct coapmsg_option *prev);
/* The value of an option of format uint; false when it is absent or longer than 4 bytes. */
bool coapmsg_get_uint(const struct coapmsg *msg, uint16_t number, uint32_t *value);
/* True when the Uri-Path options say exactly this absolute path, empty segments included. */
bool coapmsg_path_is(const struct coapmsg *msg, const char *path);

/* The number of bytes that coapmsg_encode would write. */
size_t coapmsg_size(const struct coapmsg *msg);

/* Writes the datagram. Returns its length, or 0 when msg->failed is set or it does not fit. */
size_t coapmsg_encode(const struct coapmsg *msg, uint8_t *out, size_t size);

/* Reads a datagram; msg then points into it. Returns 0 or a positive coapmsg_error; after an error type, code, id and
 * token are still set as far as they could be read, so that a caller may answer with RST; the type is RST (which is
 * never answered) where the bytes are no CoAP message of version 1 at all. */
int coapmsg_decode(struct coapmsg *msg, const void *data, size_t size) __attribute__((warn_unused_result));

/* Writes a code as text ("2.05") into out and returns it. */
char *coapmsg_code_text(uint8_t code, char out[5]);

/* A Block1 or Block2 option value (RFC 7959 section 2.2). */
struct coapmsg_block {
    uint32_t num; /* up to 2^20 - 1 */
    bool more;
    uint8_t szx; /* 0 to 6; the block size is 16 << szx */
};

void coapmsg_add_block(struct coapmsg *msg, uint16_t number, struct coapmsg_block block);
/* 0 when present and well-formed, 1 when absent, 2 when malformed (SZX 7, longer than 3 bytes). */
int coapmsg_get_block(const struct coapmsg *msg, uint16_t number, struct coapmsg_block *block);

#endif
