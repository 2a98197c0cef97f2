#ifndef TC_CLI_TABLE_H
#define TC_CLI_TABLE_H

#include "cli/display.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A table for people: columns as wide as their widest cell on the terminal, two blanks between them. */
struct table;

/* NULL when memory is out; the same holds for cells, which are then missing. */
struct table *table_new(size_t columns);
struct table *table_free(struct table *table);

/* Adds the next cell, row by row; the text (already escaped) is taken over, NULL stands for an empty cell. */
void table_add(struct table *table, char *text, enum colour colour, bool right);

/* Writes all rows, each indented by so many blanks. */
void table_print(const struct table *table, FILE *to, size_t indent, bool colours);

static inline void table_cleanup(struct table **table)
{
    table_free(*table);
}
#define cleanup_table cleanup(table_cleanup)

#endif
