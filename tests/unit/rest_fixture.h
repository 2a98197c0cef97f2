#ifndef TC_TESTS_REST_FIXTURE_H
#define TC_TESTS_REST_FIXTURE_H

#include "base/buffer.h"
#include "rest/rest.h"

#include <check.h>
#include <sys/un.h>

/*
 * A gateway without its daemon: rest on a TCP and a Unix socket, the real core, the real store in a temporary
 * directory, and an agent port that plays a device. It lives in the test's thread: whatever waits for an answer turns
 * the loop.
 */

enum fake_mode {
    FAKE_ANSWER, /* calls end in the loop's next turn with fake.outcome */
    FAKE_HOLD,   /* they stay until fixture_release */
};

struct fixture {
    uv_loop_t loop;
    char directory[64];
    char socket_path[96];
    uint16_t port;
    struct store *store;
    struct core *core;
    struct rest *rest;
    bool closed; /* rest said so */
    uv_async_t store_wake;
    uv_timer_t core_timer;
    struct rest_options options;
    struct { /* the device */
        enum fake_mode mode;
        enum agent_outcome outcome;
        enum container_state state; /* what STATUS, START and STOP report */
        const char *log;
        bool v1; /* cannot stop or remove */
        uv_timer_t timer;
        struct agent_call *calls[64];
        size_t call_count;
        unsigned counts[AGENT_CALL_COUNT];
        struct agent_response response; /* to RESOURCE */
        const char *detail;
        struct { /* the last RESOURCE or observation */
            uint8_t method;
            char path[512], query[256], body[4096], tag[16];
            int format, accept;
            bool conditional;
        } seen;
        struct agent_observation *observation; /* the newest that lasts, or NULL */
        unsigned observed, unobserved;
    } fake;
};

/* Starts all. options may be NULL; of it the limits are taken. */
void fixture_start(struct fixture *f, const struct rest_options *limits);
void fixture_stop(struct fixture *f);
/* Closes rest alone and waits until it says that it is closed. */
void fixture_close_rest(struct fixture *f);
/* Turns the loop for a while. */
void fixture_run(struct fixture *f, unsigned ms);
/* Ends the calls that are held, with fake.outcome. */
void fixture_release(struct fixture *f);

/* The device sends a representation of what is observed; body is a text or has `size` bytes. */
void fixture_notify(struct fixture *f, uint8_t code, int format, const void *body, size_t size);
/* It ends the observation. */
void fixture_end_observation(struct fixture *f, enum agent_outcome outcome, const char *detail);
/* Turns the loop until *value is not 0; fails the test after a while. */
void fixture_wait(struct fixture *f, const unsigned *value);

/* The client's turns. */
#define FIXTURE_PATIENCE_MS 10000
struct sockaddr_un fixture_unix_address(const struct fixture *f);
/* Turns the loop until something happened or ms are over; *over says so. */
void fixture_turn(struct fixture *f, uv_timer_t *timer, bool *over, unsigned ms);
void fixture_end_turns(struct fixture *f, uv_timer_t *timer);

struct client {
    struct fixture *fixture;
    int fd;
    struct buffer input; /* received and not taken yet */
    bool ended;          /* the gateway closed */
};

struct answer {
    int status;
    char head[4096]; /* all lines */
    struct buffer body;
};

void client_open(struct client *c, struct fixture *f); /* over TCP */
void client_open_unix(struct client *c, struct fixture *f);
void client_close(struct client *c);
void client_send(struct client *c, const void *data, size_t size);
void client_print(struct client *c, const char *format, ...) printf_like(2, 3);
/* Waits for the next whole answer; head_only: of a HEAD request. False when the connection ended or 10 s passed. */
bool client_receive(struct client *c, struct answer *a, bool head_only);
/* Waits until the input has a text, which is taken with all before it. */
void client_expect(struct client *c, const char *text);
/* True when the gateway closes within ms. */
bool client_sees_end(struct client *c, unsigned ms);

/* One request on a connection of its own. `headers` are whole lines, each with CRLF. The answer's body is freed by
 * answer_clear. */
void request(struct fixture *f, struct answer *a, const char *method, const char *path, const char *headers,
             const char *body);
/* The same with a JSON body. */
void request_json(struct fixture *f, struct answer *a, const char *method, const char *path, const char *headers,
                  const char *body);
void answer_clear(struct answer *a);
/* A header's value, "" when absent; static storage. */
const char *answer_header(const struct answer *a, const char *name);
/* A text member of the body by its path, "device" or "error/type"; "" when absent; static storage. */
const char *answer_text(const struct answer *a, const char *path);

/* Asserts that an answer is a problem of that kind, and clears it. */
void expect_problem(struct answer *a, enum fault_code code);
/* Asserts the status. */
#define expect_status(a, expected)                                                                                     \
    ck_assert_msg((a)->status == (expected), "%d instead of %d: %s", (a)->status, (int)(expected),                     \
                  buffer_text(&(a)->body))

/* A module that the check of artifacts takes: it exports loop() and nothing else. */
extern const uint8_t fixture_wasm[];
extern const size_t fixture_wasm_size;
/* Uploads it; the id goes to out. */
void fixture_upload(struct fixture *f, char out[CORE_DIGEST_TEXT]);
/* Adds the device "box" of kind v2. */
void fixture_add_device(struct fixture *f);

#endif
