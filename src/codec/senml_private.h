#ifndef TC_CODEC_SENML_PRIVATE_H
#define TC_CODEC_SENML_PRIVATE_H

#include "codec/senml.h"

#include <stdint.h>

/* What the files of SenML share. */

enum senml_label {
    SENML_BVER,
    SENML_BN,
    SENML_BT,
    SENML_BU,
    SENML_BV,
    SENML_BS,
    SENML_N,
    SENML_U,
    SENML_V,
    SENML_VS,
    SENML_VB,
    SENML_VD,
    SENML_S,
    SENML_T,
    SENML_UT,
    SENML_LABELS /* none of them */
};

enum senml_kind { SENML_NUMBER, SENML_TEXT, SENML_BOOLEAN, SENML_DATA };

struct senml_label_info {
    const char *name;
    int number; /* in CBOR (RFC 8428 section 6, table 4) */
    enum senml_kind kind;
};
extern const struct senml_label_info senml_labels[SENML_LABELS];

/* The value of a label. */
struct senml_field {
    double number;
    bool boolean;
    bool has_time; /* time is the number in microseconds, exactly */
    int64_t time;
    const char *text; /* also data */
    size_t size;
};

struct senml_parser {
    struct senml_pack *pack;
    const struct senml_options *options;
    enum senml_format format;
    size_t record; /* from 1, for people */
    uint32_t present;
    struct senml_field fields[SENML_LABELS];
    /* the base fields so far */
    int version; /* 0: none was told */
    double base_value, base_sum;
    int64_t base_time;
    const char *base_name;
    size_t base_size;
    const char *base_unit; /* NULL: none */
};

/* Memory of a pack (senml.c). */
char *senml_allocate(struct senml_pack *pack, size_t size); /* until the next pack; NULL: none */
void senml_begin(struct senml_pack *pack);
struct telemetry_record *senml_add_record(struct senml_pack *pack); /* NULL: no memory */
/* Sets the problem and returns the error. */
int senml_problem(struct senml_pack *pack, int error, const char *format, ...) printf_like(3, 4);

static inline bool senml_has(const struct senml_parser *p, enum senml_label label)
{
    return p->present & 1u << label;
}

int senml_broken(struct senml_parser *p, enum senml_label label, const char *what); /* as senml_problem */
/* The fields of one record are complete. As senml_parse. */
int senml_resolve(struct senml_parser *p) must_check;
/* The whole of a pack (senml_parse.c). */
int senml_parse_pack(struct senml_parser *p, const void *data, size_t size) must_check;

#endif
