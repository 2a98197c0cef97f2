#include "cli/credential.h"

#include "base/buffer.h"
#include "base/text.h"
#include "cli/view.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <string.h>

/* COSE numbers (RFC 9053) of the algorithms' names. */
static const struct {
    const char *name;
    int number;
} algorithms[] = {
    {"AES-CCM-16-64-128", 10},
    {"AES-CCM-16-128-128", 30},
    {"A128GCM", 1},
    {"ChaCha20/Poly1305", 24},
};

static int algorithm_number(const char *name)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return algorithms[i].number;
    return 0;
}

/* The bytes of a context: how each form calls them. */
static const struct {
    const char *member, *aiocoap, *code, *qr;
} parts[] = {
    {"master_secret", "secret_hex", "oscore_master_secret", "ms"},
    {"master_salt", "salt_hex", "oscore_master_salt", "salt"},
    {"sender_id", "sender-id_hex", "oscore_sender_id", "sid"},
    {"recipient_id", "recipient-id_hex", "oscore_recipient_id", "rid"},
    {"id_context", "id-context_hex", "oscore_id_context", "ctx"},
};

static bool is_oscore(const json_t *secrets)
{
    return strcmp(view_string(secrets, "kind"), "oscore") == 0;
}

/* Writing --------------------------------------------------------------------------------------------------------- */

static bool write_json(FILE *to, const json_t *secrets)
{
    return json_dumpf(secrets, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
}

static bool write_libcoap(FILE *to, const json_t *secrets)
{
    (void)fprintf(to, "# OSCORE, the side of device %s; see coap-oscore-conf(5)\n", view_string(secrets, "device"));
    for (size_t i = 0; i < array_size(parts); i++)
        if (json_is_string(json_object_get(secrets, parts[i].member)))
            (void)fprintf(to, "%s,hex,\"%s\"\n", parts[i].member, view_string(secrets, parts[i].member));
    (void)fprintf(to, "aead_alg,integer,%d\nhkdf_alg,integer,-10\nrfc8613_b_2,bool,true\n",
                  algorithm_number(view_string(secrets, "algorithm")));
    return true;
}

/* For OSCORE settings.json of the context's directory, for a pre-shared key an entry of the credentials file. */
static bool write_aiocoap(FILE *to, const json_t *secrets)
{
    cleanup_json json_t *settings = json_object();

    if (!is_oscore(secrets)) {
        (void)json_object_set_new(settings, "coaps://*",
                                  json_pack("{s:{s:{s:s}, s:{s:s}}}", "dtls", "psk", "hex", view_string(secrets, "key"),
                                            "client-identity", "ascii", view_string(secrets, "identity")));
        return write_json(to, settings);
    }
    for (size_t i = 0; i < array_size(parts); i++)
        if (json_is_string(json_object_get(secrets, parts[i].member)))
            (void)json_object_set_new(settings, parts[i].aiocoap, json_string(view_string(secrets, parts[i].member)));
    (void)json_object_set_new(settings, "algorithm", json_string(view_string(secrets, "algorithm")));
    (void)json_object_set_new(settings, "kdf-hashfun", json_string("sha256"));
    return write_json(to, settings);
}

/* C has no empty arrays, so the size stands beside. */
static void write_array(FILE *to, const char *name, const char *hex)
{
    size_t size = strlen(hex) / 2;

    (void)fputs("\n#define ", to);
    for (const char *p = name; *p; p++)
        (void)fputc(toupper((unsigned char)*p), to);
    (void)fprintf(to, "_SIZE %zu\nstatic const unsigned char %s[] = {", size, name);
    for (size_t i = 0; i < size; i++)
        (void)fprintf(to, "%s0x%.2s", i ? ", " : "", hex + 2 * i);
    (void)fputs(size ? "};\n" : "0};\n", to);
}

static bool write_code(FILE *to, const json_t *secrets)
{
    (void)fprintf(to, "/* Credentials of device %s. Keep this file secret. */\n", view_string(secrets, "device"));
    if (!is_oscore(secrets)) {
        (void)fprintf(to, "\n#define PSK_IDENTITY \"%s\"\n", view_string(secrets, "identity"));
        write_array(to, "psk_key", view_string(secrets, "key"));
        return true;
    }
    (void)fprintf(to, "\n#define OSCORE_ALGORITHM %d /* %s */\n", algorithm_number(view_string(secrets, "algorithm")),
                  view_string(secrets, "algorithm"));
    for (size_t i = 0; i < array_size(parts); i++)
        if (json_is_string(json_object_get(secrets, parts[i].member)))
            write_array(to, parts[i].code, view_string(secrets, parts[i].member));
    return true;
}

static bool write_pem(FILE *to, const json_t *secrets)
{
    return fprintf(to, "%s%s%s", view_string(secrets, "private_key"), view_string(secrets, "certificate"),
                   view_string(secrets, "ca")) >= 0;
}

/* tcgw:DEVICE?k=oscore&a=10&ms=..., as the man page tells. */
static bool write_qr(FILE *to, const json_t *secrets, bool colours)
{
    cleanup_buffer struct buffer text = {0};
    bool drawn;

    (void)buffer_reserve(&text, 1024); /* it does not move, so no copy of it stays behind */
    buffer_printf(&text, "tcgw:%s?k=%s", view_string(secrets, "device"), view_string(secrets, "kind"));
    if (is_oscore(secrets))
        buffer_printf(&text, "&a=%d", algorithm_number(view_string(secrets, "algorithm")));
    else
        buffer_printf(&text, "&i=%s&key=%s", view_string(secrets, "identity"), view_string(secrets, "key"));
    for (size_t i = 0; i < array_size(parts); i++)
        if (json_is_string(json_object_get(secrets, parts[i].member)))
            buffer_printf(&text, "&%s=%s", parts[i].qr, view_string(secrets, parts[i].member));
    drawn = !text.failed && credential_draw_qr(to, buffer_text(&text), colours);
    OPENSSL_cleanse(text.data, text.size);
    return drawn;
}

bool credential_has_form(const char *kind, const char *form)
{
    if (strcmp(form, "json") == 0)
        return true;
    if (strcmp(kind, "certificate") == 0 || strcmp(form, "pem") == 0)
        return strcmp(kind, "certificate") == 0 && strcmp(form, "pem") == 0;
    return strcmp(kind, "oscore") == 0 || strcmp(form, "libcoap") != 0;
}

bool credential_write(struct cli *cli, FILE *to, const char *form, const json_t *secrets)
{
    static const struct {
        const char *form;
        bool (*write)(FILE *to, const json_t *secrets);
    } writers[] = {
        {"json", write_json}, {"libcoap", write_libcoap}, {"aiocoap", write_aiocoap},
        {"c", write_code},    {"pem", write_pem},
    };

    for (size_t i = 0; i < array_size(writers); i++)
        if (strcmp(writers[i].form, form) == 0)
            return writers[i].write(to, secrets);
    return write_qr(to, secrets, to == cli->out && cli->colour_out);
}

/* Reading --------------------------------------------------------------------------------------------------------- */

static int not_understood(struct cli *cli, const char *name, const char *what)
{
    return cli_error(cli, CLI_INVALID,
                     "Files of these forms are taken: what tcgw device enrol prints as json, libcoap's OSCORE "
                     "configuration, aiocoap's settings.json.",
                     "%s is not a file with credentials: %s", name, what);
}

static void set_text(json_t *body, const char *name, const char *text, size_t size)
{
    (void)json_object_set_new(body, name, json_stringn(text, size));
}

static void set_hex(json_t *body, const char *name, const char *bytes, size_t size)
{
    cleanup_free char *hex = malloc(2 * size + 1);

    if (hex)
        (void)json_object_set_new(body, name, json_string(text_hex(bytes, size, hex)));
}

static bool set_algorithm(json_t *body, int64_t number)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (algorithms[i].number == number)
            return json_object_set_new(body, "algorithm", json_string(algorithms[i].name)) == 0;
    return false;
}

/* What enrol prints has members that the gateway does not take back. */
static int read_own(const json_t *file, json_t *body)
{
    static const char *const members[] = {"kind",      "algorithm",    "master_secret", "master_salt",
                                          "sender_id", "recipient_id", "id_context",    "identity",
                                          "key",       "common_name",  "fingerprint"};

    for (size_t i = 0; i < array_size(members); i++)
        if (json_object_get(file, members[i]))
            (void)json_object_set(body, members[i], json_object_get(file, members[i]));
    return 0;
}

/* NAME_hex is hexadecimal, NAME_ascii the bytes themselves. */
static void read_aiocoap_part(const json_t *file, const char *aiocoap, const char *member, json_t *body)
{
    int stem = (int)(strlen(aiocoap) - strlen("_hex"));
    const char *text = json_string_value(json_object_get(file, aiocoap));
    char ascii[32];

    if (text) {
        set_text(body, member, text, strlen(text));
        return;
    }
    (void)snprintf(ascii, sizeof ascii, "%.*s_ascii", stem, aiocoap);
    text = json_string_value(json_object_get(file, ascii));
    if (text)
        set_hex(body, member, text, strlen(text));
}

static const char *read_aiocoap(const json_t *file, json_t *body)
{
    const char *algorithm = view_string(file, "algorithm"), *hash = view_string(file, "kdf-hashfun");

    if (*hash && strcmp(hash, "sha256") != 0)
        return "its kdf-hashfun is not sha256";
    if (*algorithm && !algorithm_number(algorithm))
        return "its algorithm is none of ours";
    if (*algorithm)
        set_text(body, "algorithm", algorithm, strlen(algorithm));
    for (size_t i = 0; i < array_size(parts); i++)
        read_aiocoap_part(file, parts[i].aiocoap, parts[i].member, body);
    return NULL;
}

static const char *read_json(const char *text, json_t *body)
{
    cleanup_json json_t *file = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *problem = NULL;

    if (!json_is_object(file))
        return "it is no JSON object";
    if (json_object_get(file, "secret_hex") || json_object_get(file, "secret_ascii")) {
        set_text(body, "kind", "oscore", strlen("oscore"));
        problem = read_aiocoap(file, body);
    } else {
        (void)read_own(file, body);
    }
    return problem;
}

/* keyword,encoding,value with the value in quotes or not; what does not describe the context is left alone. */
static const char *read_libcoap_line(const char *line, size_t size, json_t *body)
{
    const char *encoding = memchr(line, ',', size), *value, *end = line + size;
    size_t keyword_size, encoding_size;
    int64_t number;

    value = encoding ? memchr(encoding + 1, ',', (size_t)(end - encoding - 1)) : NULL;
    if (!value)
        return "a line is not keyword,encoding,value";
    keyword_size = (size_t)(encoding++ - line);
    encoding_size = (size_t)(value++ - encoding);
    if (value < end && *value == '"' && end - value > 1 && end[-1] == '"') {
        value++;
        end--;
    }
    for (size_t i = 0; i < array_size(parts); i++) {
        if (strlen(parts[i].member) != keyword_size || memcmp(parts[i].member, line, keyword_size) != 0)
            continue;
        if (encoding_size == 3 && memcmp(encoding, "hex", 3) == 0)
            set_text(body, parts[i].member, value, (size_t)(end - value));
        else if (encoding_size == 5 && memcmp(encoding, "ascii", 5) == 0)
            set_hex(body, parts[i].member, value, (size_t)(end - value));
        else
            return "a value is neither hex nor ascii";
    }
    if (keyword_size != strlen("aead_alg") || memcmp(line, "aead_alg", keyword_size) != 0)
        return NULL;
    for (size_t i = 0; i < array_size(algorithms); i++) {
        if (strlen(algorithms[i].name) == (size_t)(end - value) &&
            memcmp(algorithms[i].name, value, (size_t)(end - value)) == 0)
            return set_algorithm(body, algorithms[i].number) ? NULL : "its aead_alg is none of ours";
    }
    number = strtol(value, NULL, 10);
    return set_algorithm(body, number) ? NULL : "its aead_alg is none of ours";
}

static const char *read_libcoap(const char *text, json_t *body)
{
    const char *problem = NULL;

    set_text(body, "kind", "oscore", strlen("oscore"));
    while (*text && !problem) {
        size_t size = strcspn(text, "\r\n");

        if (size && *text != '#')
            problem = read_libcoap_line(text, size, body);
        text += size;
        text += strspn(text, "\r\n");
    }
    return problem;
}

int credential_read(struct cli *cli, const char *name, const char *text, json_t **out)
{
    cleanup_json json_t *body = json_object();
    const char *start = text + strspn(text, " \t\r\n"), *problem;

    problem = *start == '{' ? read_json(start, body) : read_libcoap(start, body);
    if (!problem && !json_object_get(body, "master_secret") && !json_object_get(body, "key") &&
        !json_object_get(body, "fingerprint"))
        problem = "it has no master secret, no key and no fingerprint";
    if (problem)
        return not_understood(cli, name, problem);
    *out = steal_pointer(body);
    return 0;
}
