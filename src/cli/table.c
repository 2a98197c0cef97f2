#include "cli/table.h"

struct cell {
    char *text;
    size_t width;
    enum colour colour;
    bool right;
};

struct table {
    size_t columns, count, capacity;
    struct cell *cells;
    size_t widths[]; /* of the columns */
};

struct table *table_new(size_t columns)
{
    struct table *table = calloc(1, sizeof *table + columns * sizeof table->widths[0]);

    if (table)
        table->columns = columns;
    return table;
}

struct table *table_free(struct table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
    return NULL;
}

static bool make_room(struct table *table)
{
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    struct cell *cells;

    if (table->count < table->capacity)
        return true;
    cells = realloc(table->cells, capacity * sizeof *cells);
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_add(struct table *table, char *text, enum colour colour, bool right)
{
    size_t column = table->count % table->columns, width = text ? display_width(text) : 0;

    if (!make_room(table)) {
        free(text);
        return;
    }
    table->cells[table->count++] = (struct cell){.text = text, .width = width, .colour = colour, .right = right};
    if (width > table->widths[column])
        table->widths[column] = width;
}

/* No blanks after the last column, so that lines end where their text ends. */
static void print_cell(const struct cell *cell, FILE *to, size_t width, bool last, bool colours)
{
    int pad = (int)(width - cell->width);

    (void)fprintf(to, "%*s%s%s%s", cell->right ? pad : 0, "", display_colour(cell->colour, colours),
                  cell->text ? cell->text : "", display_colour_end(cell->colour, colours));
    if (!last)
        (void)fprintf(to, "%*s", (cell->right ? 0 : pad) + 2, "");
}

void table_print(const struct table *table, FILE *to, size_t indent, bool colours)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns || i + 1 == table->count;

        if (column == 0)
            (void)fprintf(to, "%*s", (int)indent, "");
        print_cell(&table->cells[i], to, table->widths[column], last, colours);
        if (last)
            (void)fputc('\n', to);
    }
}
