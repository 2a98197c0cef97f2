#include "rest/upload.h"

#include "rest/dispatch.h"
#include "rest/state.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#define FORM_BUFFER 4096          /* bounds a part's header line and the boundary */
#define FORM_OVERHEAD (64u << 10) /* what multipart may add to the parts themselves */
#define MULTIPART "multipart/form-data"
#define WASM "application/wasm"

enum part { PART_DESCRIPTION, PART_METADATA, PART_CODE, PART_DATA, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"description", "metadata", "code", "data"};

struct upload {
    struct rest *rest;
    struct MHD_PostProcessor *form; /* NULL for a raw body */
    bool seen[PART_COUNT];
    uint64_t sizes[PART_COUNT];
    struct buffer text; /* the description or the metadata */
    json_t *description;
    struct spool *spools[PART_COUNT];
    uint64_t left; /* bytes that code and data may still have together */
    struct fault *fault;
};

/* The others are kept in memory. */
static bool is_spooled(enum part part)
{
    return part == PART_CODE || part == PART_DATA;
}

static int refuse_too_large(const struct upload *upload, struct fault *fault)
{
    return fault_set(fault, FAULT_BODY_TOO_LARGE, "Code and data have more than %llu bytes together",
                     (unsigned long long)upload->rest->options.max_artifact_bytes);
}

static int begin_part(struct upload *upload, enum part part, struct fault *fault)
{
    int r;

    if (upload->sizes[part])
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The upload has more than one part \"%s\"", part_names[part]);
    if (upload->seen[part])
        return 0; /* the form parser has begun with a piece of no bytes */
    upload->seen[part] = true;
    if (upload->seen[PART_DESCRIPTION] && upload->seen[PART_METADATA])
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The upload has a description and metadata: one is enough");
    if (!is_spooled(part))
        return 0;
    r = spool_new(&upload->spools[part], upload->rest->state_directory, upload->left);
    if (r < 0)
        return fault_set(fault, r == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_STORAGE_FAILED,
                         "The upload cannot be stored: %s", strerror(-r));
    return 0;
}

static int take_part(struct upload *upload, enum part part, const void *data, size_t size, struct fault *fault)
{
    int r;

    upload->sizes[part] += size;
    if (!is_spooled(part)) {
        buffer_append(&upload->text, data, size);
        return upload->text.failed ? fault_set(fault, FAULT_BODY_TOO_LARGE, "The part \"%s\" has more than %zu bytes",
                                               part_names[part], upload->text.limit)
                                   : 0;
    }
    if (size > upload->left)
        return refuse_too_large(upload, fault);
    r = spool_write(upload->spools[part], data, size);
    if (r > 0)
        return refuse_too_large(upload, fault);
    if (r < 0)
        return fault_set(fault, r == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_STORAGE_FAILED,
                         "The upload cannot be stored: %s", strerror(-r));
    upload->left -= size;
    return 0;
}

/* Called by the form parser with a piece of a part; `off` is 0 for its first. */
static enum MHD_Result form_piece(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename,
                                  const char *type, const char *encoding, const char *data, uint64_t off, size_t size)
{
    struct upload *upload = cls;
    unsigned part = 0;

    (void)kind, (void)filename, (void)type;
    while (part < PART_COUNT && (!key || strcmp(key, part_names[part]) != 0))
        part++;
    if (part == PART_COUNT)
        (void)fault_set(upload->fault, FAULT_MALFORMED_REQUEST,
                        "The upload has a part \"%.64s\"; description or metadata, code and data are taken",
                        key ? key : "");
    else if (encoding && strcasecmp(encoding, "binary") != 0 && strcasecmp(encoding, "8bit") != 0 &&
             strcasecmp(encoding, "7bit") != 0)
        (void)fault_set(upload->fault, FAULT_MALFORMED_REQUEST,
                        "The part \"%s\" has a Content-Transfer-Encoding, which is not taken", part_names[part]);
    else if (off == 0 && begin_part(upload, (enum part)part, upload->fault))
        return MHD_NO;
    else if (take_part(upload, (enum part)part, data, size, upload->fault) == 0)
        return MHD_YES;
    return MHD_NO;
}

static int begin_form(struct upload *upload, struct http_request *req, struct fault *fault)
{
    upload->form = req->mhd ? MHD_create_post_processor(req->mhd, FORM_BUFFER, form_piece, upload) : NULL;
    if (!upload->form)
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The multipart body has no usable boundary");
    return 0;
}

/* The description of a raw body is made of the query; core checks the values. */
static int describe_raw(struct upload *upload, const struct http_request *req, const char *content_type,
                        struct fault *fault)
{
    const char *name = http_parameter(req, "name"), *type = http_parameter(req, "type");
    const char *period = http_parameter(req, "loop_period_ms");
    int64_t ms;

    if (!type && http_is_type(content_type, WASM))
        type = "wasm";
    if (!type)
        return fault_set(fault, FAULT_INVALID_PARAMETER,
                         "The query parameter type (\"wasm\", \"rbpf\") is missing for a raw upload of " HTTP_OCTETS);
    upload->description = json_pack("{s:s, s:s*}", "type", type, "name", name);
    if (period && !text_parse_int(period, 0, UINT32_MAX, &ms))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter loop_period_ms is not a number");
    if (period)
        (void)json_object_set_new(upload->description, "limits", json_pack("{s:I}", "loop_period_ms", (json_int_t)ms));
    return begin_part(upload, PART_CODE, fault);
}

int upload_begin(struct http_request *req, uint64_t length, struct fault *fault)
{
    const struct rest_options *options = &req->rest->options;
    const char *type = http_header(req, "Content-Type");
    bool form = type && http_is_type(type, MULTIPART);
    uint64_t limit = options->max_artifact_bytes + (form ? options->max_json_bytes + FORM_OVERHEAD : 0);
    struct upload *upload;

    if (!form && (!type || (!http_is_type(type, WASM) && !http_is_type(type, HTTP_OCTETS)))) {
        http_add(req, "Accept", MULTIPART ", " WASM ", " HTTP_OCTETS);
        return fault_set(fault, FAULT_UNSUPPORTED_MEDIA_TYPE, "An upload is %s, %s or %s", MULTIPART, WASM,
                         HTTP_OCTETS);
    }
    upload = req->upload = calloc(1, sizeof *upload);
    if (!upload)
        return fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory");
    upload->rest = req->rest;
    upload->text = buffer_init(options->max_json_bytes);
    upload->left = options->max_artifact_bytes;
    upload->fault = fault;
    if (length != UINT64_MAX && length > limit)
        return refuse_too_large(upload, fault);
    return form ? begin_form(upload, req, fault) : describe_raw(upload, req, type, fault);
}

int upload_take(struct http_request *req, const void *data, size_t size, struct fault *fault)
{
    struct upload *upload = req->upload;

    upload->fault = fault;
    if (!upload->form)
        return take_part(upload, PART_CODE, data, size, fault);
    fault->code = FAULT_NONE;
    if (MHD_post_process(upload->form, data, size) == MHD_YES && fault->code == FAULT_NONE)
        return 0;
    if (fault->code == FAULT_NONE)
        fault_set(fault, FAULT_MALFORMED_REQUEST, "The multipart body cannot be parsed");
    return 1;
}

static int finish_form(struct upload *upload, struct fault *fault)
{
    enum MHD_Result complete;

    upload->fault = fault;
    fault->code = FAULT_NONE;
    complete = MHD_destroy_post_processor(upload->form);
    upload->form = NULL;
    if (fault->code)
        return 1;
    if (complete != MHD_YES)
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The multipart body has no end");
    if (!upload->seen[PART_DESCRIPTION] && !upload->seen[PART_METADATA])
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The upload has no part \"description\" or \"metadata\"");
    if (!upload->seen[PART_CODE])
        return fault_set(fault, FAULT_MALFORMED_REQUEST, "The upload has no part \"code\"");
    return 0;
}

/* The description of a form, once its parts are complete. */
static int describe_form(struct upload *upload, struct fault *fault)
{
    int r;

    if (upload->seen[PART_DESCRIPTION])
        return dispatch_parse_json(upload->text.data, upload->text.size, &upload->description, fault);
    r = core_describe_metadata(upload->text.data, upload->text.size, upload->spools[PART_CODE],
                               upload->spools[PART_DATA], &upload->description, fault);
    return r < 0 ? fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory") : r;
}

int upload_finish(struct http_request *req, struct fault *fault)
{
    struct upload *upload = req->upload;
    bool form = upload->form != NULL;
    int r;

    if (form && finish_form(upload, fault))
        return 1;
    for (unsigned part = PART_CODE; part < PART_COUNT; part++) {
        r = upload->spools[part] ? spool_finish(upload->spools[part]) : 0;
        if (r < 0)
            return fault_set(fault, r == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_STORAGE_FAILED,
                             "The upload cannot be stored: %s", strerror(-r));
    }
    if (form && describe_form(upload, fault))
        return 1;
    return upload->description ? 0 : fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory");
}

const json_t *upload_description(const struct upload *upload)
{
    return upload->description;
}

struct spool *upload_code(const struct upload *upload)
{
    return upload->spools[PART_CODE];
}

struct spool *upload_data(const struct upload *upload)
{
    return upload->spools[PART_DATA];
}

int upload_digest(const struct upload *upload, EVP_MD_CTX *ctx)
{
    cleanup_free char *text = json_dumps(upload->description, JSON_COMPACT | JSON_SORT_KEYS);
    bool good = text && EVP_DigestUpdate(ctx, text, strlen(text) + 1);

    for (unsigned part = PART_CODE; good && part < PART_COUNT; part++)
        if (upload->spools[part])
            good = EVP_DigestUpdate(ctx, spool_digest(upload->spools[part]), 32);
    return good ? 0 : -ENOMEM;
}

struct upload *upload_free(struct upload *upload)
{
    if (!upload)
        return NULL;
    upload->fault = NULL; /* the parser may hand out a last piece */
    if (upload->form)
        (void)MHD_destroy_post_processor(upload->form);
    for (unsigned part = PART_CODE; part < PART_COUNT; part++)
        (void)spool_free(upload->spools[part]);
    buffer_clear(&upload->text);
    json_decref(upload->description);
    free(upload);
    return NULL;
}
