#include "rest/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/jwt.h"
#include "rest/route.h"
#include "rest/scope.h"
#include "rest/state.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SCHEME "Bearer "

/* Failures --------------------------------------------------------------------------------------------------------- */

static struct auth_source *find_source(struct auth *auth, const char *from, uint64_t now)
{
    struct auth_source *old = NULL;

    for (size_t i = 0; i < auth->source_count; i++) {
        struct auth_source *source = &auth->sources[i];

        if (strcmp(source->from, from) == 0)
            return source;
        if (now - source->since >= AUTH_WINDOW_MS)
            old = source;
    }
    if (auth->source_count < AUTH_SOURCES_MAX)
        old = &auth->sources[auth->source_count++];
    if (!old)
        return &auth->others;
    *old = (struct auth_source){.since = now};
    (void)text_copy(old->from, sizeof old->from, from);
    return old;
}

static bool is_limited(struct rest *rest, const char *from)
{
    uint64_t now = uv_now(rest->options.loop);
    const struct auth_source *source = find_source(&rest->auth, from, now);

    return source->failures > AUTH_FAILURES_MAX && now - source->since < AUTH_WINDOW_MS;
}

/* Credentials that were none. What is refused costs a look at a table; who guesses learns no more than that. */
static int refuse(struct http_request *req, const char *why, struct fault *fault)
{
    struct auth *auth = &req->rest->auth;
    uint64_t now = uv_now(req->rest->options.loop);
    struct auth_source *source = find_source(auth, req->caller.from, now);

    if (now - source->since >= AUTH_WINDOW_MS) {
        source->since = now;
        source->failures = 0;
    }
    if (++source->failures > AUTH_FAILURES_MAX) {
        http_add_copy(req, "Retry-After", "%llu",
                      (unsigned long long)((source->since + AUTH_WINDOW_MS - now + 999) / 1000));
        return fault_set(fault, FAULT_RATE_LIMITED, "There were too many bad credentials from %s", req->caller.from);
    }
    log_warning("credentials refused", "from", req->caller.from, "reason", why, NULL);
    http_add(req, "WWW-Authenticate", "Bearer realm=\"tcgw\", error=\"invalid_token\"");
    return fault_set(fault, FAULT_UNAUTHENTICATED, "The credentials are not valid: %s", why);
}

/* Who it is -------------------------------------------------------------------------------------------------------- */

static const char *user_name(struct auth *auth, uid_t uid)
{
    const struct passwd *user;
    size_t i = 0;

    while (i < auth->user_count && auth->users[i].uid != uid)
        i++;
    if (i < auth->user_count)
        return auth->users[i].name;
    i = auth->user_count < AUTH_USERS_MAX ? auth->user_count++ : (size_t)uid % AUTH_USERS_MAX;
    user = getpwuid(uid);
    auth->users[i].uid = uid;
    if (user)
        (void)text_copy(auth->users[i].name, sizeof auth->users[i].name, user->pw_name);
    else
        (void)snprintf(auth->users[i].name, sizeof auth->users[i].name, "%u", (unsigned)uid);
    return auth->users[i].name;
}

static bool owns_gateway(const struct auth *auth, const struct http_peer *peer)
{
    if (peer->uid == 0 || peer->uid == geteuid())
        return true;
    for (size_t i = 0; auth->has_socket_group && i < peer->group_count; i++)
        if (peer->groups[i] == auth->socket_group)
            return true;
    return false;
}

/* A process of this machine, on the Unix socket. */
static void be_process(struct http_request *req, struct caller *caller)
{
    const struct http_peer *peer = &req->peer;
    bool is_administrator = peer->uid == 0 || peer->uid == geteuid(); /* whom a grant to a group shall not lock out */
    const struct identity identity = {.local = true,
                                      .uid = peer->uid,
                                      .groups = peer->groups,
                                      .group_count = is_administrator ? 0 : peer->group_count};

    (void)snprintf(caller->name, sizeof caller->name, "user:%s", user_name(&req->rest->auth, peer->uid));
    if (!core_find_grant(rest_core(req), &identity, caller) && owns_gateway(&req->rest->auth, peer))
        caller->role = ROLE_OWNER;
}

/* A client certificate that the transport verified. */
static void be_certificate(const struct http_request *req, struct caller *caller)
{
    const struct identity identity = {.certificate = req->peer.certificate, .fingerprint = req->peer.fingerprint};

    /* Who has no name is known by the fingerprint. The audit trail takes no half of a character. */
    if (*req->peer.certificate)
        (void)snprintf(caller->name, sizeof caller->name, "certificate:%.*s",
                       (int)(sizeof caller->name - sizeof "certificate:"), req->peer.certificate);
    else
        (void)snprintf(caller->name, sizeof caller->name, "certificate:%s", req->peer.fingerprint);
    text_repair_utf8(caller->name);
    (void)core_find_grant(rest_core(req), &identity, caller);
}

static void be_anonymous(const struct http_request *req, struct caller *caller)
{
    const struct rest_options *options = &req->rest->options;

    (void)text_copy(caller->name, sizeof caller->name, "anonymous");
    if (req->peer.loopback || options->anonymous_remote)
        caller->role = options->anonymous;
}

#define SUBJECT_SIZE 61

/* Of a long one the begin, and a digest for the rest, which fill the place: two callers do not have one name. */
static void copy_subject(const char *subject, char out[SUBJECT_SIZE])
{
    char digits[2 * 8 + 1] = "";
    uint8_t digest[32] = {0};

    if (text_copy(out, SUBJECT_SIZE - 1, subject))
        return;
    (void)EVP_Digest(subject, strlen(subject), digest, NULL, EVP_sha256(), NULL);
    (void)snprintf(out, SUBJECT_SIZE, "%.43s~%s", subject, text_hex(digest, 8, digits));
}

static void set_jwt_caller(const struct http_request *req, const json_t *claims, struct caller *caller)
{
    const char *said = json_string_value(json_object_get(claims, "sub"));
    char subject[SUBJECT_SIZE];

    copy_subject(said ? said : "", subject);
    (void)snprintf(caller->name, sizeof caller->name, "jwt:%s@%.60s", subject,
                   json_string_value(json_object_get(claims, "iss")));
    text_repair_utf8(caller->name);
    (void)core_find_grant(rest_core(req), &(struct identity){.claims = claims}, caller);
}

/* As be_bearer. A signature costs something, so that who sent many bad ones has to wait. */
static const char *be_jwt(const struct http_request *req, const char *token, struct caller *caller)
{
    struct rest *rest = req->rest;
    const struct rest_options *options = &rest->options;
    const struct jwt_rules rules = {options->jwt.issuer, options->jwt.audience, clock_wall_ms(clock_system()) / 1000,
                                    options->jwt.leeway_ms / 1000};
    enum jwt_result result;
    json_t *claims;
    const char *why;

    if (!rules.issuer || !*rules.issuer)
        return "the gateway takes no JWTs";
    if (is_limited(rest, caller->from))
        return "there were too many bad ones";
    if (!rest->jwt_keys) {
        options->jwt.wanted(options->jwt.wanted_arg);
        return "the keys of the issuer could not be had yet";
    }
    result = jwt_verify(token, rest->jwt_keys, &rules, &claims, &why);
    if (result == JWT_UNKNOWN_KEY)
        options->jwt.wanted(options->jwt.wanted_arg);
    if (result != JWT_GOOD)
        return why;
    set_jwt_caller(req, claims, caller);
    json_decref(claims);
    return NULL;
}

/* NULL, or why the credentials are none. */
static const char *be_bearer(const struct http_request *req, const char *credentials, struct caller *caller)
{
    size_t n = strlen(SCHEME);

    if (strncasecmp(credentials, SCHEME, n) != 0)
        return "only Bearer is taken";
    credentials += n + strspn(credentials + n, " ");
    if (jwt_is_one(credentials))
        return be_jwt(req, credentials, caller);
    if (core_find_token(rest_core(req), credentials, caller))
        return NULL;
    return "the token is not known, has expired, or was revoked";
}

/* As be_bearer. */
static const char *find_out(struct http_request *req, struct caller *caller)
{
    const char *credentials = http_header(req, "Authorization");

    *caller = (struct caller){.role = ROLE_NONE};
    (void)text_copy(caller->from, sizeof caller->from, req->peer.kind == HTTP_PEER_UNIX ? "unix" : req->peer.address);
    if (credentials)
        return be_bearer(req, credentials, caller);
    if (req->peer.kind == HTTP_PEER_UNIX)
        be_process(req, caller);
    else if (*req->peer.fingerprint)
        be_certificate(req, caller);
    else
        be_anonymous(req, caller);
    return NULL;
}

int auth_identify(struct http_request *req, struct fault *fault)
{
    const char *why;

    if (*req->caller.name)
        return 0;
    why = find_out(req, &req->caller);
    return why ? refuse(req, why, fault) : 0;
}

bool auth_is_current(struct http_request *req)
{
    struct caller now;

    return req->peer.kind == HTTP_PEER_PLATFORM ||
           (!find_out(req, &now) && role_permits(now.role, req->route->access) &&
            strcmp(now.tenant, req->caller.tenant) == 0);
}

void auth_note_socket(struct auth *auth, int fd)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    struct stat st;

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || address.sun_family != AF_UNIX ||
        size <= offsetof(struct sockaddr_un, sun_path) || stat(address.sun_path, &st) < 0)
        return;
    auth->socket_group = st.st_gid;
    auth->has_socket_group = true;
}

/* Whether they may ------------------------------------------------------------------------------------------------- */

static bool is_anonymous(const struct http_request *req)
{
    return strcmp(req->caller.name, "anonymous") == 0;
}

static int deny(struct http_request *req, struct fault *fault)
{
    const struct caller *caller = &req->caller;
    const char *needed = access_name(req->route->access);

    if (is_anonymous(req)) {
        http_add(req, "WWW-Authenticate", "Bearer realm=\"tcgw\"");
        return fault_set(fault, FAULT_UNAUTHENTICATED, "The request has no credentials, and this needs the right to %s",
                         needed);
    }
    return fault_set(fault, FAULT_FORBIDDEN, "%s has the role %s, which has no right to %s", caller->name,
                     role_name(caller->role), needed);
}

int auth_permit(struct http_request *req, struct fault *fault)
{
    if (!role_permits(req->caller.role, req->route->access))
        return deny(req, fault);
    if (!*req->caller.tenant || req->route->access == ACCESS_PUBLIC)
        return 0;
    req->denied = scope_check_path(req, fault) != 0; /* what is not there for it may be there for others */
    return req->denied;
}
