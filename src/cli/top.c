#include "cli/top.h"
#include "cli/gateway.h"
#include "cli/handlers.h"

#include <ctype.h>
#include <ncurses.h>
#include <string.h>
#include <wchar.h>

/* The live view. */

#define EVERY_MS 2000
#define LEAST_MS 500
#define MOST_MS 64000
#define KEY_WAIT_MS 100
#define HEAD_LINES 4
#define GAP 2
#define COLUMN_MOST 40

enum pair { PAIR_NONE, PAIR_RED, PAIR_GREEN, PAIR_YELLOW, PAIR_CYAN };

struct screen {
    struct cli *cli;
    struct top_data data;
    enum top_page page;
    size_t sort[TOP_PAGE_COUNT];
    bool descending[TOP_PAGE_COUNT];
    size_t first[TOP_PAGE_COUNT]; /* row at the top */
    bool paused, help;
    int64_t every_ms;
    int64_t due; /* monotonic ms of the next look */
};

/* Drawing ---------------------------------------------------------------------------------------------------------- */

static attr_t attribute_of(const struct screen *s, enum colour colour)
{
    static const short pairs[] = {
        [COLOUR_RED] = PAIR_RED, [COLOUR_GREEN] = PAIR_GREEN, [COLOUR_YELLOW] = PAIR_YELLOW, [COLOUR_CYAN] = PAIR_CYAN};

    if (!s->cli->colour_out || colour == COLOUR_NONE)
        return A_NORMAL;
    if (colour == COLOUR_BOLD || colour == COLOUR_DIM)
        return colour == COLOUR_BOLD ? A_BOLD : A_DIM;
    return (attr_t)COLOR_PAIR(pairs[colour]);
}

/* At most so many columns of a text that is already escaped. */
static void put_text(int y, int x, int columns, const char *text)
{
    mbstate_t state = {0};
    int used = 0;

    while (*text && used < columns) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, strlen(text), &state);
        int width = n > 0 && n <= strlen(text) ? wcwidth(c) : -1;

        if (width < 0 || used + width > columns)
            return;
        (void)mvaddnstr(y, x + used, text, (int)n);
        used += width;
        text += n;
    }
}

static void put_line(int y, const char *text, attr_t attribute)
{
    (void)attrset((int)attribute);
    put_text(y, 0, COLS, text);
    (void)attrset(A_NORMAL);
}

static void draw_summary(const struct screen *s)
{
    const struct top_data *d = &s->data;
    char line[256], up[DISPLAY_SIZE];
    size_t n = 0;

    (void)snprintf(line, sizeof line, "tcgw %.20s  up %s  %lld devices  %lld containers  %lld unfinished operations",
                   view_string(d->info, "version"),
                   display_duration(json_integer_value(view_at(d->info, "uptime_seconds")) * 1000, up),
                   (long long)json_integer_value(view_at(d->info, "counts.devices")),
                   (long long)json_integer_value(view_at(d->info, "counts.containers")),
                   (long long)json_integer_value(view_at(d->info, "counts.operations_unfinished")));
    put_line(0, line, A_BOLD);
    for (size_t i = 0; i < array_size(d->presence); i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s %u  ", top_presence_names[i], d->presence[i]);
    for (size_t i = 0; i < TOP_RATE_COUNT && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, d->rates[i] < 0 ? "%s -  " : "%s %.1f/s  ", top_rate_names[i],
                              d->rates[i]);
    put_line(1, line, A_NORMAL);
}

static void draw_tabs(const struct screen *s)
{
    int x = 0;

    for (unsigned page = 0; page < TOP_PAGE_COUNT; page++) {
        char text[48];

        (void)snprintf(text, sizeof text, " %u %s (%zu) ", page + 1, top_view(page)->nouns,
                       json_array_size(s->data.items[page]));
        (void)attrset(page == s->page ? A_REVERSE : A_NORMAL);
        put_text(2, x, COLS - x, text);
        x += (int)strlen(text) + 1;
    }
    (void)attrset(A_NORMAL);
    put_text(2, x, COLS - x, s->paused ? "  paused" : "");
}

static size_t rows_on_screen(void)
{
    return LINES > HEAD_LINES + 1 ? (size_t)(LINES - HEAD_LINES - 1) : 0;
}

static char *cell_of(const struct screen *s, const struct field *field, size_t row)
{
    const json_t *object = json_array_get(s->data.items[s->page], row);
    char *text = view_text(field, object, clock_wall_ms(s->cli->clock), false);

    return text ? text : strdup("-");
}

static int width_of(const struct screen *s, const struct field *field, size_t end)
{
    size_t width = strlen(field->title) + 1; /* and the mark of the sorting */

    for (size_t row = s->first[s->page]; row < end; row++) {
        cleanup_free char *text = cell_of(s, field, row);
        size_t n = text ? display_width(text) : 0;

        width = n > width ? n : width;
    }
    return width > COLUMN_MOST ? COLUMN_MOST : (int)width;
}

static void draw_column(const struct screen *s, size_t column, int x, int width, size_t end)
{
    const struct field *field = top_column(s->page, column);
    bool sorted = column == s->sort[s->page];
    char title[48];
    size_t n;

    n = (size_t)snprintf(title, sizeof title, "%s%s", field->title, !sorted ? "" : s->descending[s->page] ? "-" : "+");
    for (size_t i = 0; i < n && i < sizeof title; i++)
        title[i] = (char)toupper((unsigned char)title[i]);
    (void)attrset(sorted ? A_BOLD | A_UNDERLINE : A_UNDERLINE);
    put_text(HEAD_LINES - 1, x, COLS - x, title);
    for (size_t row = s->first[s->page]; row < end; row++) {
        cleanup_free char *text = cell_of(s, field, row);
        const json_t *object = json_array_get(s->data.items[s->page], row);

        (void)attrset((int)attribute_of(s, view_colour(field, object)));
        put_text(HEAD_LINES + (int)(row - s->first[s->page]), x, width < COLS - x ? width : COLS - x, text ? text : "");
    }
    (void)attrset(A_NORMAL);
}

static void draw_rows(struct screen *s)
{
    size_t count = json_array_size(s->data.items[s->page]), fit = rows_on_screen(), end;
    int x = 0;

    if (s->first[s->page] + fit > count)
        s->first[s->page] = count > fit ? count - fit : 0;
    end = s->first[s->page] + fit < count ? s->first[s->page] + fit : count;
    for (size_t column = 0; column < top_column_count(s->page) && x < COLS; column++) {
        int width = width_of(s, top_column(s->page, column), end);

        draw_column(s, column, x, width, end);
        x += width + GAP;
    }
}

static void draw_help(void)
{
    static const char *const lines[] = {
        "1 2 3, Tab     devices, operations, transfers",
        "s S            sort by the next or the column before; r: the other way round",
        "Up Down PgUp PgDn Home End   scroll",
        "Space          look again now",
        "p              pause",
        "+ -            look more, or less often",
        "q              quit",
    };

    for (size_t i = 0; i < array_size(lines); i++)
        put_line(HEAD_LINES + (int)i, lines[i], A_NORMAL);
}

static void draw(struct screen *s)
{
    (void)erase();
    draw_summary(s);
    draw_tabs(s);
    if (s->help)
        draw_help();
    else
        draw_rows(s);
    if (*s->data.trouble)
        put_line(LINES - 1, s->data.trouble, attribute_of(s, COLOUR_RED) | A_BOLD);
    else
        put_line(LINES - 1, "? help   s sort   r reverse   p pause   q quit", A_DIM);
    (void)refresh();
}

/* Keys ------------------------------------------------------------------------------------------------------------- */

static void scroll_by(struct screen *s, int64_t rows)
{
    int64_t first = (int64_t)s->first[s->page] + rows;

    s->first[s->page] = first > 0 ? (size_t)first : 0;
}

static void sort_next(struct screen *s, size_t step)
{
    s->sort[s->page] = (s->sort[s->page] + step) % top_column_count(s->page);
}

static void change_pace(struct screen *s, bool faster)
{
    s->every_ms = faster ? s->every_ms / 2 : s->every_ms * 2;
    if (s->every_ms < LEAST_MS)
        s->every_ms = LEAST_MS;
    if (s->every_ms > MOST_MS)
        s->every_ms = MOST_MS;
}

/* False ends the view. */
static bool take_key(struct screen *s, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case '\t':
        s->page = (s->page + 1) % TOP_PAGE_COUNT;
        break;
    case '1':
    case '2':
    case '3':
        s->page = (enum top_page)(key - '1');
        break;
    case 's':
        sort_next(s, 1);
        break;
    case 'S':
        sort_next(s, top_column_count(s->page) - 1);
        break;
    case 'r':
        s->descending[s->page] = !s->descending[s->page];
        break;
    case 'p':
        s->paused = !s->paused;
        break;
    case ' ':
        s->due = 0;
        break;
    case '+':
    case '-':
        change_pace(s, key == '+');
        break;
    case '?':
    case 'h':
        s->help = !s->help;
        break;
    case KEY_UP:
    case KEY_DOWN:
        scroll_by(s, key == KEY_UP ? -1 : 1);
        break;
    case KEY_PPAGE:
    case KEY_NPAGE:
        scroll_by(s, key == KEY_PPAGE ? -(int64_t)rows_on_screen() : (int64_t)rows_on_screen());
        break;
    case KEY_HOME:
    case KEY_END:
        s->first[s->page] = key == KEY_HOME ? 0 : json_array_size(s->data.items[s->page]);
        break;
    default:
        break; /* also KEY_RESIZE: the next drawing fits */
    }
    return true;
}

static void look(struct screen *s)
{
    int64_t now = clock_monotonic_ms(clock_system());

    if ((s->paused && s->due) || now < s->due)
        return;
    top_read(&s->data, s->cli);
    s->due = clock_monotonic_ms(clock_system()) + s->every_ms;
}

static void loop(struct screen *s)
{
    int key = ERR;

    do {
        look(s);
        if (cli_interrupted)
            return;
        top_sort(&s->data, s->page, s->sort[s->page], s->descending[s->page]);
        draw(s);
        do
            key = getch();
        while (key == ERR && !cli_interrupted && (s->paused || clock_monotonic_ms(clock_system()) < s->due));
    } while (!cli_interrupted && (key == ERR || take_key(s, key)));
}

/* The terminal ----------------------------------------------------------------------------------------------------- */

static void on_end(int number)
{
    (void)number;
    cli_interrupted = 1;
}

static void set_colours(void)
{
    static const short colours[] = {
        [PAIR_RED] = COLOR_RED, [PAIR_GREEN] = COLOR_GREEN, [PAIR_YELLOW] = COLOR_YELLOW, [PAIR_CYAN] = COLOR_CYAN};

    (void)start_color();
    (void)use_default_colors();
    for (int pair = PAIR_RED; pair <= PAIR_CYAN; pair++)
        (void)init_pair((short)pair, colours[pair], -1);
}

/* Whatever ends it, the terminal is as it was before. */
static int show(struct screen *s)
{
    const struct sigaction action = {.sa_handler = on_end};
    struct sigaction term, hup;
    SCREEN *screen = newterm(NULL, stdout, stdin);

    if (!screen)
        return cli_error(s->cli, CLI_USAGE, "Set TERM, or use --json.", "this terminal is not known");
    (void)sigaction(SIGTERM, &action, &term);
    (void)sigaction(SIGHUP, &action, &hup);
    if (s->cli->colour_out && has_colors())
        set_colours();
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    timeout(KEY_WAIT_MS);
    loop(s);
    (void)endwin();
    delscreen(screen);
    (void)sigaction(SIGTERM, &term, NULL);
    (void)sigaction(SIGHUP, &hup, NULL);
    return cli_interrupted ? CLI_INTERRUPTED : CLI_OK;
}

static int print_once(struct screen *s)
{
    cleanup_json json_t *all = NULL;

    top_read(&s->data, s->cli);
    if (*s->data.trouble)
        return cli_error(s->cli, CLI_UNREACHABLE, NULL, "%s", s->data.trouble);
    all = top_json(&s->data);
    s->cli->writer->object(s->cli->writer, &view_status, all);
    return CLI_OK;
}

int top_run(struct cli *cli, const struct arguments *args)
{
    struct screen s = {.cli = cli, .every_ms = arguments_duration(args, "every", EVERY_MS)};
    int rc;

    if (s.every_ms < LEAST_MS)
        s.every_ms = LEAST_MS;
    if (cli->style == CLI_STYLE_JSON)
        rc = print_once(&s);
    else if (!cli->out_terminal)
        rc = cli_error(cli, CLI_USAGE, "Use --json for what it would show.", "the output is no terminal");
    else
        rc = show(&s);
    top_clear(&s.data);
    return rc;
}
