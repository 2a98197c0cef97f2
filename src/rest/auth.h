#ifndef TC_REST_AUTH_H
#define TC_REST_AUTH_H

#include "rest/http.h"

/* Who asks, and whether they may. */

/* Fills req->caller in from what the transport and the credentials of the request say. */
int auth_identify(struct http_request *req, struct fault *fault) must_check;

#endif
