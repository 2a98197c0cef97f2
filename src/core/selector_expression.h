#ifndef TC_CORE_SELECTOR_EXPRESSION_H
#define TC_CORE_SELECTOR_EXPRESSION_H

#include "base/cleanup.h"
#include "core/model.h"

/* What a selector's expression (selector.h) is made of; selector.c alone uses it. */

struct expression;

/* 0; 1 with FAULT_INVALID_FIELD at `pointer`, which names the byte; -ENOMEM. */
int expression_parse(struct expression **out, const char *text, const char *pointer, struct fault *fault) must_check;
bool expression_matches(const struct expression *expression, const struct device *device);
const char *expression_text(const struct expression *expression);  /* canonical */
bool expression_names(const char *key);                            /* one of the gateway's own keys */
struct expression *expression_free(struct expression *expression); /* NULL is fine. Returns NULL */

#endif
