#ifndef TC_TESTS_CLI_FAKE_H
#define TC_TESTS_CLI_FAKE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

/* A gateway that answers from a script, on a Unix socket and in a thread of its own, and a run of tcgw against it. */

enum fake_action {
    FAKE_ANSWER,
    FAKE_CLOSE,     /* takes the request and closes the connection */
    FAKE_INTERRUPT, /* answers as if Ctrl-C had been pressed meanwhile */
    FAKE_SILENCE,   /* never answers */
};

struct fake_step {
    const char *request;  /* "GET /v1/devices?limit=1000": the beginning of the request line */
    const char *contains; /* somewhere in the header or the body; NULL: anything */
    int status;
    const char *type; /* NULL: application/json, or application/problem+json from 400 on */
    const char *body;
    enum fake_action action;
    const char *head; /* more header fields, each ended by CRLF; NULL: none */
};

/* Where the gateway listens; made by fake_setup in a directory of its own, which fake_teardown removes. */
extern char fake_directory[64], fake_socket[96];
void fake_setup(void);
void fake_teardown(void);

/* Makes a file in the directory. Returns its path, which the next but three calls reuse. */
const char *fake_file(const char *name, const void *content, size_t size);

/* What a run of tcgw wrote. */
struct fake_run {
    int code;
    char *out, *err;
    bool out_terminal, err_terminal; /* set before */
};
extern struct fake_run fake_result;

/* Runs tcgw with the words of a line (no quoting) against a gateway that plays the script (ended by {0}); fails the
 * test when the requests are others. The wall clock stands at 2026-01-02T03:04:05.678Z. */
void fake_run(const struct fake_step *script, const char *line);

/* The same, and checks the exit code; also for a script of one answer. */
void fake_expect(const struct fake_step *script, const char *line, int code);
void fake_one(const char *request, int status, const char *body, const char *line, int code);

/* Key headers of the requests so far: "" when there was none. */
const char *fake_key(size_t request);

/* Runs tests, each in a directory of its own. Returns the program's exit status. */
int fake_run_tests(const char *name, const TTest *const *tests, size_t count);

#define OUT_HAS(text) ck_assert_msg(strstr(fake_result.out, text), "stdout lacks '%s':\n%s", text, fake_result.out)
#define ERR_HAS(text) ck_assert_msg(strstr(fake_result.err, text), "stderr lacks '%s':\n%s", text, fake_result.err)

#endif
