#include "cli/resume.h"

#include "base/text.h"
#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/progress.h"
#include "cli/wait.h"

#include <openssl/evp.h>
#include <string.h>

#define CHUNK_BYTES (256u << 10)
#define ATTEMPTS 10 /* in a row that get nothing through */
#define PAUSE_MS 1000
#define FILE_MAX (64u << 20)

struct resume {
    struct cli *cli;
    struct buffer content; /* code and data */
    json_t *body;
    char id[65];
    size_t offset;
    struct progress progress;
};

static bool may_pass(int error)
{
    return error == CLIENT_E_LOST || error == CLIENT_E_REFUSED || error == CLIENT_E_TIMEOUT;
}

/* Appends a file, and says in the body what it is. */
static int add_part(struct resume *r, const char *name, const char *file)
{
    size_t begin = r->content.size;
    uint8_t digest[32];
    char hex[65];
    int rc = describe_read_file(r->cli, file, FILE_MAX, &r->content);

    if (rc)
        return rc;
    if (EVP_Digest(r->content.data + begin, r->content.size - begin, digest, NULL, EVP_sha256(), NULL) != 1)
        return CLI_FAILED;
    (void)json_object_set_new(r->body, name,
                              json_pack("{s:I, s:s}", "size", (json_int_t)(r->content.size - begin), "sha256",
                                        text_hex(digest, sizeof digest, hex)));
    return 0;
}

/* Begins, or finds out how far it has come; *artifact is what it became. A client_error, or 0. */
static int begin(struct resume *r, struct client_reply *reply, char artifact[65])
{
    const struct client_request request = {.method = "POST", .path = "/v1/uploads", .body = r->body, .once = true};
    int error = gateway_try(r->cli, &request, reply);

    if (error)
        return error;
    (void)text_copy(r->id, sizeof r->id, view_string(reply->json, "id"));
    (void)text_copy(artifact, 65, view_string(reply->json, "artifact"));
    r->offset = (size_t)json_integer_value(view_at(reply->json, "offset"));
    return 0;
}

static int send_piece(struct resume *r, struct client_reply *reply)
{
    cleanup_free char *path = client_path("/v1/uploads/%s", r->id);
    size_t left = r->content.size - r->offset, n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    char offset[24];
    const struct client_request request = {.method = "PATCH",
                                           .path = path,
                                           .raw = r->content.data + r->offset,
                                           .raw_size = n,
                                           .body_type = "application/offset+octet-stream",
                                           .upload_offset = offset,
                                           .once = true};
    int error;

    (void)snprintf(offset, sizeof offset, "%zu", r->offset);
    error = gateway_try(r->cli, &request, reply);
    if (!error && reply->status == 204)
        r->offset += n;
    progress_bytes(&r->progress, (int64_t)r->offset, (int64_t)r->content.size, 0, 0);
    return error;
}

/* All that is missing. A client_error, or 0 with a reply that is the last one. */
static int send_rest(struct resume *r, struct client_reply *reply)
{
    int error;

    do {
        client_reply_clear(reply);
        error = send_piece(r, reply);
    } while (!error && reply->status == 204 && !*reply->location && r->offset < r->content.size);
    return error;
}

static int fetch_artifact(struct resume *r, const char *location, json_t **out)
{
    return gateway_get(r->cli, strdup(location), out);
}

static int run(struct resume *r, json_t **out)
{
    char artifact[65] = "", location[128];

    for (unsigned attempt = 0;; attempt++) {
        cleanup_reply struct client_reply reply = {0};
        size_t before = r->offset;
        int error = begin(r, &reply, artifact);

        if (!error && (reply.status < 200 || reply.status > 299))
            return gateway_refusal(r->cli, &reply);
        (void)snprintf(location, sizeof location, "/v1/artifacts/%s", artifact);
        if (!error && *artifact)
            return fetch_artifact(r, location, out);
        if (!error)
            error = send_rest(r, &reply);
        if (!error && *reply.location)
            return fetch_artifact(r, reply.location, out);
        if (!error && reply.status != 204 && reply.status != 409)
            return gateway_refusal(r->cli, &reply);
        if (r->offset > before)
            attempt = 0;
        if (error && (!*r->id || !may_pass(error) || attempt >= ATTEMPTS || cli_interrupted))
            return gateway_explain(r->cli, error);
        if (!error && attempt >= ATTEMPTS)
            return gateway_refusal(r->cli, &reply);
        cli_sleep_ms(PAUSE_MS);
    }
}

int resume_upload(struct cli *cli, const char *description, const char *code, const char *data, json_t **out)
{
    struct resume r = {.cli = cli, .content = buffer_init(2 * (size_t)FILE_MAX)};
    cleanup_free char *doing = wait_sentence("uploading %s", code);
    int rc;

    r.body = json_pack("{s:o}", "description", json_loads(description, 0, NULL));
    rc = r.body ? add_part(&r, "code", code) : CLI_FAILED;
    if (!rc && data)
        rc = add_part(&r, "data", data);
    progress_begin(&r.progress, cli, doing ? doing : "");
    if (!rc)
        rc = run(&r, out);
    progress_end(&r.progress);
    buffer_clear(&r.content);
    json_decref(r.body);
    return rc;
}
