#include "cli/credential.h"

#include <openssl/crypto.h>
#include <qrencode.h>

#define QUIET 4 /* modules around the code (ISO/IEC 18004) */

static bool is_dark(const QRcode *code, int x, int y)
{
    return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

/* Two rows of modules are one line of text. Light modules are drawn, so that the code is right on the dark terminals
 * that most have; colours make it right on all. */
static void draw(FILE *to, const QRcode *code, bool colours)
{
    static const char *const blocks[] = {"\xe2\x96\x88", "\xe2\x96\x84", "\xe2\x96\x80", " "}; /* full, lower, upper */

    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        (void)fputs(colours ? "\033[97;40m" : "", to);
        for (int x = -QUIET; x < code->width + QUIET; x++)
            (void)fputs(blocks[is_dark(code, x, y) + 2 * is_dark(code, x, y + 1)], to);
        (void)fputs(colours ? "\033[0m\n" : "\n", to);
    }
}

bool credential_draw_qr(FILE *to, const char *text, bool colours)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);

    if (!code)
        return false;
    draw(to, code, colours);
    OPENSSL_cleanse(code->data, (size_t)code->width * (size_t)code->width);
    QRcode_free(code);
    return true;
}
