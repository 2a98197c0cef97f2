#ifndef TC_TESTS_TRUST_FIXTURE_H
#define TC_TESTS_TRUST_FIXTURE_H

#include "codec/release.h"
#include "core_fixture.h"

#include <openssl/evp.h>

/* What the tests of publishers, releases and policies share. */
extern struct core_fixture f;
extern struct fault fault;
extern EVP_PKEY *acme, *other; /* Ed25519, and P-256 */
extern struct device *box;     /* of agent v2, in the group lab */
extern char one[CORE_DIGEST_TEXT], two[CORE_DIGEST_TEXT];

void trust_setup(void);
void trust_teardown(void);

/* Each returns what refused it, FAULT_NONE when it is durable. Bodies are JSON text with ' for ". */
enum fault_code puts_publisher(const char *name, EVP_PKEY *key, const char *rest);
enum fault_code puts_policy(const char *name, const char *text);
enum fault_code adds(json_t *body); /* a release; takes the body over */
enum fault_code adds_signed(const char *name, const char *version, uint64_t sequence, const char *artifact,
                            EVP_PKEY *key);
enum fault_code adds_plain(const char *name, const char *version, int sequence, const char *artifact);
struct release_statement statement_of(const char *name, const char *version, uint64_t sequence, const char *artifact);
json_t *sign(const struct release_statement *statement, EVP_PKEY *key, EVP_PKEY *named);

/* What refuses the container "job" at once, or what its operation ends with. */
enum fault_code deploys_to(struct device *device, const char *text);
enum fault_code deploys_release(const char *release); /* to box */
const char *state_of(const char *release);

#endif
