#include "cli/progress.h"

#include "base/text.h"
#include "cli/display.h"

#define SHOW_AFTER_MS 1000
#define DRAW_EVERY_MS 200
#define BAR_WIDTH 24

void progress_begin(struct progress *progress, struct cli *cli, const char *doing)
{
    *progress = (struct progress){.cli = cli, .started = clock_monotonic_ms(cli->clock)};
    (void)text_copy(progress->doing, sizeof progress->doing, doing);
}

static void make_bar(struct buffer *b, int64_t done, int64_t total)
{
    int64_t filled = done >= total ? BAR_WIDTH : done * BAR_WIDTH / total;
    char of[DISPLAY_SIZE], all[DISPLAY_SIZE];

    buffer_append_text(b, " [");
    for (int64_t i = 0; i < BAR_WIDTH; i++)
        buffer_append_u8(b, i < filled ? '#' : '.');
    buffer_printf(b, "] %d %%, %s of %s", (int)(done >= total ? 100 : done * 100 / total),
                  display_bytes((uint64_t)done, of), display_bytes((uint64_t)total, all));
}

static void draw(struct progress *progress, int64_t done, int64_t total)
{
    int64_t now = clock_monotonic_ms(progress->cli->clock), elapsed = now - progress->started;
    cleanup_buffer struct buffer line = {0};
    char text[DISPLAY_SIZE];
    bool own = total <= 0;

    if (!progress->cli->err_terminal || progress->cli->style != CLI_STYLE_TEXT || elapsed < SHOW_AFTER_MS ||
        (progress->shown && now - progress->drawn < DRAW_EVERY_MS))
        return;
    if (own) {
        done = progress->done;
        total = progress->total;
    }
    buffer_append_text(&line, progress->doing);
    if (*progress->step)
        buffer_printf(&line, ": %s", progress->step);
    if (total > 0 && done < total)
        make_bar(&line, done, total);
    if (own && *progress->pace)
        buffer_printf(&line, ", %s", progress->pace);
    buffer_printf(&line, ", %s", display_duration(elapsed / 1000 * 1000, text));
    (void)fputs("\r\033[K", progress->cli->err);
    display_put(progress->cli->err, buffer_text(&line), line.size, false);
    (void)fflush(progress->cli->err);
    progress->drawn = now;
    progress->shown = true;
}

void progress_step(struct progress *progress, const char *step)
{
    progress_transfer(progress, step, 0, 0, 0);
}

void progress_transfer(struct progress *progress, const char *step, int64_t done, int64_t total, int64_t rate)
{
    char speed[DISPLAY_SIZE], left[DISPLAY_SIZE];

    (void)text_copy(progress->step, sizeof progress->step, step);
    progress->done = done;
    progress->total = total;
    *progress->pace = 0;
    if (rate > 0 && done < total)
        (void)snprintf(progress->pace, sizeof progress->pace, "%.24s/s, %.24s left",
                       display_bytes((uint64_t)rate, speed),
                       display_duration((total - done + rate - 1) / rate * 1000, left));
    draw(progress, 0, 0);
}

void progress_bytes(void *arg, int64_t sent, int64_t to_send, int64_t received, int64_t to_receive)
{
    bool sending = to_send > 0 && sent < to_send;

    draw(arg, sending ? sent : received, sending ? to_send : to_receive);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        (void)fputs("\r\033[K", progress->cli->err);
    progress->shown = false;
}
