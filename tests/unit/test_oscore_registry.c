#include "oscore_fixture.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct oscore_crypto *crypto;
static struct oscore_registry *registry;

static void setup(void)
{
    ck_assert_int_eq(oscore_crypto_new(&crypto, 4), 0);
    ck_assert_int_eq(oscore_registry_new(&registry), 0);
}

static void teardown(void)
{
    registry = oscore_registry_free(registry);
    crypto = oscore_crypto_free(crypto);
}

/* id_context NULL: none. */
static struct oscore_context *make(const char *kid, const char *id_context)
{
    struct oscore_credentials c = pair_credentials(OSCORE_AES_CCM_16_64_128, "gateway", kid);

    if (id_context) {
        c.has_id_context = true;
        c.id_context_size = (uint8_t)strlen(id_context);
        memcpy(c.id_context, id_context, c.id_context_size);
    }
    return pair_context(crypto, &c);
}

static struct oscore_context *find(const char *kid, const char *kid_context, const struct oscore_context *after)
{
    return oscore_registry_find(registry, kid, strlen(kid), kid_context, kid_context ? strlen(kid_context) : 0, after);
}

START_TEST(found_by_kid_and_kid_context)
{
    struct oscore_context *none = make("d1", NULL), *empty = make("d1", ""), *a = make("d1", "a"), *b = make("d1", "b"),
                          *other = make("d2", "a"), *nameless = make("", NULL);
    struct oscore_context *all[] = {a, none, b, empty, other, nameless};

    for (size_t i = 0; i < array_size(all); i++)
        ck_assert_int_eq(oscore_registry_add(registry, all[i]), 0);
    ck_assert_ptr_eq(find("d1", "a", NULL), a);
    ck_assert_ptr_eq(find("d1", "b", NULL), b);
    ck_assert_ptr_eq(find("d1", "", NULL), empty);
    ck_assert_ptr_null(find("d1", "c", NULL));
    ck_assert_ptr_null(find("d1", "a", a));
    ck_assert_ptr_eq(find("d2", "a", NULL), other);
    ck_assert_ptr_null(find("d2", "b", NULL));
    ck_assert_ptr_eq(find("", NULL, NULL), nameless);
    ck_assert_ptr_null(find("", "a", NULL));
    ck_assert_ptr_null(find("d3", NULL, NULL));
    ck_assert_ptr_eq(find("d2", NULL, NULL), other); /* it may be left out */
    ck_assert_ptr_null(find("d2", NULL, other));
    for (size_t i = 0; i < array_size(all); i++)
        oscore_registry_remove(registry, all[i]);
    ck_assert_ptr_null(find("d1", NULL, NULL));
    for (size_t i = 0; i < array_size(all); i++)
        oscore_context_free(all[i]);
}
END_TEST

/* Without a kid context the one that has none comes first, then each of the others once. */
START_TEST(all_of_a_kid_are_found)
{
    struct oscore_context *all[8], *found;
    char id_context[2] = "a";
    unsigned seen = 0;

    for (size_t i = 0; i < array_size(all); i++, id_context[0]++) {
        all[i] = make("kid", i == 5 ? NULL : id_context);
        ck_assert_int_eq(oscore_registry_add(registry, all[i]), 0);
    }
    found = find("kid", NULL, NULL);
    ck_assert_ptr_eq(found, all[5]);
    for (; found; found = find("kid", NULL, found))
        for (size_t i = 0; i < array_size(all); i++)
            seen += found == all[i] ? 1u << (4 * i) : 0;
    ck_assert_uint_eq(seen, 0x11111111);
    for (size_t i = 0; i < array_size(all); i++) {
        oscore_registry_remove(registry, all[i]);
        ck_assert_ptr_ne(find("kid", NULL, NULL), all[i]);
        oscore_context_free(all[i]);
    }
}
END_TEST

START_TEST(a_pair_is_taken_once)
{
    struct oscore_context *a = make("k", "x"), *b = make("k", "x"), *c = make("k", NULL), *d = make("k", NULL);

    ck_assert_int_eq(oscore_registry_add(registry, a), 0);
    ck_assert_int_eq(oscore_registry_add(registry, a), -EEXIST);
    ck_assert_int_eq(oscore_registry_add(registry, b), -EEXIST);
    ck_assert_int_eq(oscore_registry_add(registry, c), 0);
    ck_assert_int_eq(oscore_registry_add(registry, d), -EEXIST);
    oscore_registry_remove(registry, b); /* it is not in it */
    ck_assert_ptr_eq(find("k", "x", NULL), a);
    oscore_registry_remove(registry, a);
    ck_assert_int_eq(oscore_registry_add(registry, b), 0);
    ck_assert_ptr_eq(find("k", "x", NULL), b);
    registry = oscore_registry_free(registry); /* lets go of what is in it */
    ck_assert_int_eq(oscore_registry_new(&registry), 0);
    ck_assert_int_eq(oscore_registry_add(registry, b), 0);
    oscore_registry_remove(registry, b);
    oscore_context_free(a);
    oscore_context_free(b);
    oscore_context_free(c);
    oscore_context_free(d);
}
END_TEST

/* A context is not taken out of a registry that it is not in. */
START_TEST(registries_are_apart)
{
    struct oscore_registry *other;
    struct oscore_context *a = make("k", NULL);

    ck_assert_int_eq(oscore_registry_new(&other), 0);
    ck_assert_int_eq(oscore_registry_add(registry, a), 0);
    oscore_registry_remove(other, a);
    ck_assert_ptr_eq(find("k", NULL, NULL), a);
    oscore_registry_remove(registry, a);
    oscore_registry_free(other);
    oscore_context_free(a);
}
END_TEST

START_TEST(what_is_too_long_is_not_found)
{
    static const uint8_t bytes[256];
    struct oscore_context *a = make("k", NULL);

    ck_assert_int_eq(oscore_registry_add(registry, a), 0);
    for (size_t size = 0; size < sizeof bytes; size++) {
        ck_assert_ptr_null(oscore_registry_find(registry, bytes, size, NULL, 0, NULL));
        ck_assert_ptr_null(oscore_registry_find(registry, "k", 1, bytes, size, NULL));
    }
    oscore_registry_remove(registry, a);
    oscore_context_free(a);
}
END_TEST

static double find_all(unsigned count, bool same_kid)
{
    struct timespec from, to;
    char kid[8], id_context[16];

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned device = i * 7919u % count;

        (void)snprintf(kid, sizeof kid, "%x", same_kid ? 0 : device);
        (void)snprintf(id_context, sizeof id_context, "%u", device);
        ck_assert_ptr_nonnull(find(kid, same_kid ? id_context : NULL, NULL));
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* Ten thousand, each with its own kid or all with one: a lookup costs about what it costs among ten. */
START_TEST(ten_thousand_contexts)
{
    enum { COUNT = 10000, FEW = 10 };
    static struct oscore_context *all[COUNT];
    bool same_kid = _i == 1;
    char kid[8], id_context[16];
    double few = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(kid, sizeof kid, "%x", same_kid ? 0 : i);
        (void)snprintf(id_context, sizeof id_context, "%u", i);
        all[i] = make(kid, id_context);
        ck_assert_int_eq(oscore_registry_add(registry, all[i]), 0);
        if (i == FEW - 1)
            few = find_all(FEW, same_kid);
    }
    ck_assert_double_lt(find_all(COUNT, same_kid), 20 * few + 0.2); /* a search through all would take 1000 times */
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(kid, sizeof kid, "%x", same_kid ? 0 : i);
        (void)snprintf(id_context, sizeof id_context, "%u", i);
        ck_assert_ptr_eq(find(kid, id_context, NULL), all[i]);
        oscore_registry_remove(registry, all[i]);
        ck_assert_ptr_null(find(kid, id_context, NULL));
        oscore_context_free(all[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_registry");
    TCase *tc = tcase_create("registry");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, found_by_kid_and_kid_context);
    tcase_add_test(tc, all_of_a_kid_are_found);
    tcase_add_test(tc, a_pair_is_taken_once);
    tcase_add_test(tc, registries_are_apart);
    tcase_add_test(tc, what_is_too_long_is_not_found);
    tcase_add_loop_test(tc, ten_thousand_contexts, 0, 2);
    return suite_run(suite);
}
