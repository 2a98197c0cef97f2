#include "config.h"

#include "cli/display.h"

#include <locale.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

void display_init(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* Decodes one character; 0 when the bytes are no UTF-8. */
static size_t decode(const char *text, size_t size, wchar_t *out)
{
    mbstate_t state = {0};
    size_t n = mbrtowc(out, text, size, &state);

    return n == (size_t)-1 || n == (size_t)-2 ? 0 : n;
}

static bool is_harmless(wchar_t c, bool lines)
{
    if (lines && (c == '\n' || c == '\t'))
        return true;
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    return !(c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
             (c >= 0x2066 && c <= 0x2069) || c == 0xfeff);
}

static void append_escaped(struct buffer *b, wchar_t c)
{
    switch (c) {
    case '\n':
        buffer_append_text(b, "\\n");
        break;
    case '\r':
        buffer_append_text(b, "\\r");
        break;
    case '\t':
        buffer_append_text(b, "\\t");
        break;
    default:
        buffer_printf(b, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    }
}

void display_append(struct buffer *b, const char *text, size_t size, bool lines)
{
    for (size_t i = 0; i < size;) {
        wchar_t c = 0;
        size_t n = decode(text + i, size - i, &c);

        if (n == 0) { /* NUL, or not UTF-8 */
            buffer_printf(b, "\\x%02x", (unsigned char)text[i]);
            n = 1;
        } else if (is_harmless(c, lines)) {
            buffer_append(b, text + i, n);
        } else {
            append_escaped(b, c);
        }
        i += n;
    }
}

void display_put(FILE *to, const char *text, size_t size, bool lines)
{
    cleanup_buffer struct buffer b = {0};

    display_append(&b, text, size, lines);
    (void)fwrite(buffer_text(&b), 1, b.size, to);
}

size_t display_width(const char *text)
{
    size_t width = 0, left = strlen(text);

    while (left) {
        wchar_t c = 0;
        size_t n = decode(text, left, &c);
        int columns = n ? wcwidth(c) : 1;

        n = n ? n : 1;
        width += columns > 0 ? (size_t)columns : 0;
        text += n;
        left -= n;
    }
    return width;
}

static int print_span(char *out, int64_t s)
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;

    while (i + 1 < array_size(units) && s < units[i].seconds)
        i++;
    return snprintf(out, DISPLAY_SIZE, "%lld %s", (long long)(s / units[i].seconds), units[i].unit);
}

char *display_ago(int64_t then, int64_t now, char out[DISPLAY_SIZE])
{
    char span[DISPLAY_SIZE];

    if (then > now + 999) {
        (void)print_span(span, (then - now) / 1000);
        (void)snprintf(out, DISPLAY_SIZE, "in %.24s", span);
    } else if (now - then < 1000) {
        (void)snprintf(out, DISPLAY_SIZE, "just now");
    } else {
        (void)print_span(span, (now - then) / 1000);
        (void)snprintf(out, DISPLAY_SIZE, "%.24s ago", span);
    }
    return out;
}

char *display_bytes(uint64_t bytes, char out[DISPLAY_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        (void)snprintf(out, DISPLAY_SIZE, "%u B", (unsigned)bytes);
        return out;
    }
    while (value >= 1024 && i + 1 < array_size(units)) {
        value /= 1024;
        i++;
    }
    (void)snprintf(out, DISPLAY_SIZE, "%.1f %s", value, units[i]);
    return out;
}

char *display_duration(int64_t ms, char out[DISPLAY_SIZE])
{
    long long s = ms / 1000;

    if (ms < 1000)
        (void)snprintf(out, DISPLAY_SIZE, "%lld ms", (long long)ms);
    else if (s < 60)
        (void)snprintf(out, DISPLAY_SIZE, "%lld.%lld s", s, (long long)(ms % 1000 / 100));
    else if (s < 3600)
        (void)snprintf(out, DISPLAY_SIZE, "%lld min %lld s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, DISPLAY_SIZE, "%lld h %lld min", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(out, DISPLAY_SIZE, "%lld d %lld h", s / 86400, s % 86400 / 3600);
    return out;
}

bool display_parse_time(const char *text, int64_t *wall_ms)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0, weight = 100;

    if (!rest)
        return false;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10)
            ms += weight * (*rest - '0');
    if (strcmp(rest, "Z") != 0)
        return false;
    *wall_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return true;
}

const char *display_colour(enum colour colour, bool on)
{
    static const char *const sequences[] = {
        [COLOUR_NONE] = "",           [COLOUR_RED] = "\033[31m",  [COLOUR_GREEN] = "\033[32m",
        [COLOUR_YELLOW] = "\033[33m", [COLOUR_CYAN] = "\033[36m", [COLOUR_BOLD] = "\033[1m",
        [COLOUR_DIM] = "\033[2m",
    };

    return on ? sequences[colour] : "";
}

const char *display_colour_end(enum colour colour, bool on)
{
    return on && colour != COLOUR_NONE ? "\033[0m" : "";
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

#define DISTANCE_MAX 40 /* longer words are cut: nobody mistypes them by a letter or two only to be recognised */

unsigned display_distance(const char *a, const char *b)
{
    unsigned d[DISTANCE_MAX + 1][DISTANCE_MAX + 1];
    size_t m = strnlen(a, DISTANCE_MAX), n = strnlen(b, DISTANCE_MAX);

    for (size_t i = 0; i <= m; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    return d[m][n];
}
