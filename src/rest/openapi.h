#ifndef TC_REST_OPENAPI_H
#define TC_REST_OPENAPI_H

#include <stddef.h>

/* docs/openapi.yaml as JSON, made at build time. */
extern const unsigned char openapi_json[];
extern const size_t openapi_json_size;
/* Its entity tag, with the quotes. */
extern const char openapi_tag[];

#endif
