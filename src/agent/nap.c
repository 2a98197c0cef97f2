#include "agent/nap.h"

void nap_init(struct nap *n, int64_t now_ms)
{
    n->asleep = false;
    n->wake_ms = now_ms + (int64_t)n->options->sleep_s * 1000;
    n->until_ms = now_ms + n->options->awake_ms;
}

bool nap_wakes(struct nap *n, int64_t now_ms)
{
    if (!n->asleep || now_ms < n->wake_ms)
        return false;
    nap_init(n, now_ms);
    return true;
}

void nap_settle(struct nap *n, bool busy, int64_t now_ms)
{
    if (!n->options->sleep_s || n->asleep)
        return;
    if (busy || n->busy)
        n->until_ms = now_ms + n->options->awake_ms;
    else if (now_ms >= n->until_ms)
        n->asleep = true;
    n->busy = busy;
}

int64_t nap_deadline(const struct nap *n)
{
    if (!n->options->sleep_s)
        return NAP_NEVER;
    return n->asleep ? n->wake_ms : n->until_ms;
}
