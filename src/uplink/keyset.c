#include "uplink/keyset.h"

#include "base/buffer.h"
#include "core/jwt.h"
#include "uplink/http.h"

#include <errno.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS 15000L

struct keyset {
    struct http_call call;
    struct buffer text;
    uplink_keys_fn done;
    void *arg;
};

/* A longer one is cut off, which fails the call. */
static size_t take_bytes(char *data, size_t size, size_t count, void *arg)
{
    struct keyset *keyset = arg;

    buffer_append(&keyset->text, data, size * count);
    return keyset->text.failed ? 0 : size * count;
}

static void finished(struct http_call *call)
{
    struct keyset *keyset = call->arg;
    char problem[CURL_ERROR_SIZE + 32];

    if (keyset->text.failed)
        (void)snprintf(problem, sizeof problem, "it has more than %u bytes", JWKS_SIZE_MAX);
    else
        (void)snprintf(problem, sizeof problem, call->problem[0] ? "%s" : "the answer is %s%ld",
                       call->problem[0] ? call->problem : "", call->status);
    if (call->status == 200 && !call->problem[0] && !keyset->text.failed)
        keyset->done(keyset->arg, keyset->text.data, keyset->text.size, NULL);
    else
        keyset->done(keyset->arg, NULL, 0, problem);
}

int keyset_new(struct keyset **out, struct uplink *uplink)
{
    struct keyset *keyset = calloc(1, sizeof *keyset);
    int r = keyset ? http_call_init(&keyset->call, uplink->http) : -ENOMEM;

    if (r < 0) {
        free(keyset);
        return r;
    }
    keyset->text = buffer_init(JWKS_SIZE_MAX);
    keyset->call.arg = keyset;
    keyset->call.done = finished;
    *out = keyset;
    return 0;
}

void keyset_close(struct keyset *keyset)
{
    if (!keyset)
        return;
    http_call_clear(&keyset->call);
    buffer_clear(&keyset->text);
    free(keyset);
}

bool keyset_fetch(struct keyset *keyset, const char *url, const char *ca, uplink_keys_fn done, void *arg)
{
    CURL *curl = keyset->call.curl;

    http_call_cancel(&keyset->call);
    buffer_clear(&keyset->text);
    keyset->text = buffer_init(JWKS_SIZE_MAX);
    keyset->done = done;
    keyset->arg = arg;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, keyset);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_CAINFO, *ca ? ca : NULL);
    return http_call_header(&keyset->call, "Accept: application/json") && http_call_begin(&keyset->call);
}
