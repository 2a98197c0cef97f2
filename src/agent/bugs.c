#include "agent/bugs.h"

#include "base/text.h"

#include <string.h>

#define MAX_NAME 64
#define MAX_VALUE 3600000
#define AT(field) offsetof(struct bugs, field)

static const struct bug_info table[] = {
    {"no-dedup", NULL, 1, AT(no_dedup), "a retransmitted request is executed again"},
    {"lose-answer", "N", BUGS_ALWAYS, AT(lose_answer), "execute, but drop the answers of the next N requests"},
    {"lose-load-answer", "N", BUGS_ALWAYS, AT(lose_load_answer), "the same for loads and packages only"},
    {"slow-load", "MS", 0, AT(slow_load), "a load takes this long, and nothing else is answered meanwhile"},
    {"start-dies", NULL, 1, AT(start_dies), "a started container is running at once, and dead 50 ms later"},
    {"duplicate-uid", NULL, 1, AT(duplicate_uid), "v1: a uid can be loaded twice; start takes the first"},
    {"no-stop", NULL, 1, AT(no_stop), "answer stop and delete with 5.01; always so in v1"},
    {"ended-not-restartable", NULL, 1, AT(ended_not_restartable), "a container that ended can not be started again"},
    {"garbage-answer", "N", BUGS_ALWAYS, AT(garbage_answer), "the next N answers do not belong to what was asked"},
    {"malformed-answer", "N", BUGS_ALWAYS, AT(malformed_answer), "the next N answers are no CoAP messages"},
    {"empty-ack-then-separate", "MS", 100, AT(separate), "an empty ACK at once and the answer MS later"},
    {"old-hash", NULL, 1, AT(old_hash), "expect the metadata hash of old tools, over the zeroed token"},
    {"silent", NULL, 1, AT(silent), "answer nothing and do nothing"},
    {"restart-after", "N", 0, AT(restart_after), "restart after every N requests"},
    {"other-answer", "N", BUGS_ALWAYS, AT(other_answer), "OSCORE: the next N answers are those of the request before"},
    {"other-token", "N", BUGS_ALWAYS, AT(other_token), "the next N answers have a token that nobody gave"},
    {"flip-answer", "N", BUGS_ALWAYS, AT(flip_answer),
     "OSCORE: a bit of the next N answers and notifications is wrong"},
    {"unprotected-answer", "N", BUGS_ALWAYS, AT(unprotected_answer), "OSCORE: the next N answers are not protected"},
    {"false-hint", "N", BUGS_ALWAYS, AT(false_hint), "OSCORE: an unprotected 4.01 before each of the next N answers"},
    {"replay-notification", "N", BUGS_ALWAYS, AT(replay_notification),
     "each notification is followed by the one before"},
    {"reorder-notification", "N", BUGS_ALWAYS, AT(reorder_notification),
     "two notifications at a time, the newer first"},
    {"sensor-error", "N", BUGS_ALWAYS, AT(sensor_error), "the next N answers and notifications of sensors are 5.00"},
    {"sensor-endless", NULL, 1, AT(sensor_endless), "a sensor's value has no last block"},
    {"observe-forever", NULL, 1, AT(observe_forever), "an observation goes on, cancelled, rejected or unheard"},
    {"no-version", NULL, 1, AT(no_version), "SUIT: /suit/version says NONE whatever was installed, as RIOT does"},
};

const struct bug_info *bugs_table(size_t *count)
{
    *count = array_size(table);
    return table;
}

static const struct bug_info *find(const char *name)
{
    for (size_t i = 0; i < array_size(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static int parse_one(struct bugs *bugs, char *word, char *reason, size_t reason_size)
{
    char *value = strchr(word, '=');
    const struct bug_info *info;
    int64_t number = 0;

    if (value)
        *value++ = 0;
    info = find(word);
    if (!info) {
        (void)snprintf(reason, reason_size, "there is no bug named \"%s\"", word);
        return 1;
    }
    if (!value)
        number = info->unset_value;
    else if (!info->argument || !text_parse_int(value, 1, MAX_VALUE, &number))
        number = 0;
    if (!number) {
        (void)snprintf(reason, reason_size, "bug %s takes %s", word,
                       info->argument ? "a number from 1 to 3600000, after \"=\"" : "no value");
        return 1;
    }
    *(uint32_t *)(void *)((char *)bugs + info->offset) = (uint32_t)number;
    return 0;
}

int bugs_parse(struct bugs *bugs, const char *text, char *reason, size_t reason_size)
{
    while (*text) {
        size_t length = strcspn(text, ",");
        char word[MAX_NAME];
        int r;

        if (length >= sizeof word) {
            (void)snprintf(reason, reason_size, "there is no bug named \"%.*s\"", (int)length, text);
            return 1;
        }
        memcpy(word, text, length);
        word[length] = 0;
        r = parse_one(bugs, word, reason, reason_size);
        if (r)
            return r;
        text += length + (text[length] == ',');
    }
    return 0;
}

bool bugs_happens(uint32_t *counter)
{
    if (!*counter)
        return false;
    if (*counter != BUGS_ALWAYS)
        --*counter;
    return true;
}
