#ifndef TC_DAEMON_LIMITS_H
#define TC_DAEMON_LIMITS_H

#include "coap/agents.h"
#include "conf/conf.h"
#include "core/core.h"
#include "rest/rest.h"
#include "store/store.h"

/* The modules' options as far as the configuration says them; the rest, such as the other modules, is zero. */
struct agents_options conf_agents_options(const struct conf *conf);
struct core_options conf_core_options(const struct conf *conf);
struct rest_options conf_rest_options(const struct conf *conf);
struct store_retention conf_retention(const struct conf *conf);

#endif
