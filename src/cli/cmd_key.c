#include "base/text.h"
#include "cli/handlers.h"
#include "cli/writer.h"
#include "codec/cose.h"
#include "codec/keystore.h"
#include "codec/pemfile.h"

#include <errno.h>
#include <openssl/pem.h>
#include <string.h>

#define REASON_SIZE 384
#define POINT_MAX 65 /* bytes of a P-256 point that is not compressed */

/* As an agent has it compiled in: an Ed25519 key's 32 bytes, or a point of P-256. */
static json_t *raw_of(EVP_PKEY *key)
{
    uint8_t raw[POINT_MAX], *point = NULL;
    char text[2 * POINT_MAX + 1] = "";
    size_t size = sizeof raw;

    if (cose_key_algorithm(key) == COSE_EDDSA)
        size = EVP_PKEY_get_raw_public_key(key, raw, &size) == 1 ? size : 0;
    else
        size = EVP_PKEY_get1_encoded_public_key(key, &point);
    if (size && size <= POINT_MAX)
        (void)text_hex(point ? point : raw, size, text);
    OPENSSL_free(point);
    return json_string(text);
}

static json_t *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    json_t *text = NULL;

    if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
        long size = BIO_get_mem_data(bio, &data);

        text = json_stringn(data, size > 0 ? (size_t)size : 0);
    }
    BIO_free(bio);
    return text ? text : json_string("");
}

/* The public part by itself: not all that holds a private key tells its bytes. */
static EVP_PKEY *public_of(EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    char unused[REASON_SIZE];
    EVP_PKEY *public = size > 0 ? cose_read_public_key(der, (size_t)size, unused, sizeof unused) : NULL;

    OPENSSL_free(der);
    return public;
}

static int show(struct cli *cli, const struct arguments *args, EVP_PKEY *private)
{
    cleanup_pkey EVP_PKEY *key = public_of(private);
    bool is_ed25519 = key && cose_key_algorithm(key) == COSE_EDDSA;
    uint8_t id[8];
    char id_text[2 * sizeof id + 1];
    cleanup_json json_t *object = NULL;
    const char *pem;

    if (!key || cose_key_id(key, id) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "the public part of this key cannot be read");
    object = json_pack("{s:s, s:s, s:o, s:o}", "id", text_hex(id, sizeof id, id_text), "algorithm",
                       is_ed25519 ? "Ed25519" : "ES256", "public_key", raw_of(key), "pem", pem_of(key));
    pem = view_string(object, "pem");
    if (cli->style != CLI_STYLE_TEXT || !arguments_given(args, "pem"))
        cli->writer->object(cli->writer, &view_key, object);
    if (cli->style == CLI_STYLE_TEXT && !arguments_given(args, "pem"))
        (void)fputc('\n', cli->out);
    if (cli->style == CLI_STYLE_TEXT)
        display_put(cli->out, pem, strlen(pem), true);
    return CLI_OK;
}

int key_command_show(struct cli *cli, const struct arguments *args)
{
    cleanup_pkey EVP_PKEY *key = NULL;
    char reason[REASON_SIZE];

    if (!args->words[0])
        return gateway_key(cli, args);
    if (keystore_open_public(&key, args->words[0], reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s", reason);
    return show(cli, args, key);
}

int key_command_generate(struct cli *cli, const struct arguments *args)
{
    const char *type = arguments_value(args, "type"), *path = args->words[0];
    bool is_es256 = type && strcmp(type, "es256") == 0;
    cleanup_pkey EVP_PKEY *key = is_es256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    if (!key)
        return cli_error(cli, CLI_FAILED, NULL, "OpenSSL could not make a key");
    if (!pemfile_create_key(key, path))
        return cli_error(cli, CLI_INVALID, errno == EEXIST ? "Name a file that is not there yet." : NULL,
                         "%s cannot be made (%s)", path, strerror(errno));
    return show(cli, args, key);
}
