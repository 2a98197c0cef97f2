/* rbpf-pack: turns the object file of clang -target bpf into an rBPF application file (src/codec/rbpf.h). The section
 * .text becomes the text, writable sections the data, all others that are loaded the rodata; the addresses that the
 * linker would fill in become the opcodes RBPF_LDDW_DATA and RBPF_LDDW_RODATA. */
#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/rbpf.h"

#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef R_BPF_64_64
#define R_BPF_64_64 1
#endif
#ifndef R_BPF_64_32
#define R_BPF_64_32 10
#endif

#define OBJECT_MAX (4u << 20)
#define SECTIONS_MAX 256

enum part { PART_NONE, PART_TEXT, PART_DATA, PART_RODATA, PART_COUNT };

struct packer {
    const char *path;
    struct buffer object;
    Elf64_Ehdr header;
    Elf64_Shdr sections[SECTIONS_MAX];
    enum part part[SECTIONS_MAX];
    size_t offset[SECTIONS_MAX]; /* of the section in its part */
    struct buffer parts[PART_COUNT];
    struct buffer functions;
    uint32_t function_count;
};

printf_like(2, 3) static int complain(const struct packer *p, const char *format, ...)
{
    va_list ap;

    (void)fprintf(stderr, "rbpf-pack: %s: ", p->path);
    va_start(ap, format);
    (void)vfprintf(stderr, format, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return 1;
}

/* Copies size bytes at an offset of the object; false when they are not all in it. */
static bool get(const struct packer *p, uint64_t offset, void *out, size_t size)
{
    if (size > p->object.size || offset > p->object.size - size)
        return false;
    memcpy(out, p->object.data + offset, size);
    return true;
}

/* A string of a string table; "?" where there is none. */
static const char *string_at(const struct packer *p, uint32_t table, uint32_t offset)
{
    const Elf64_Shdr *section = &p->sections[table < p->header.e_shnum ? table : 0];
    const char *begin = (const char *)p->object.data + section->sh_offset;

    if (section->sh_type != SHT_STRTAB || offset >= section->sh_size)
        return "?";
    return memchr(begin + offset, 0, section->sh_size - offset) ? begin + offset : "?";
}

static void put_le(struct buffer *b, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        buffer_append_u8(b, (uint8_t)(value >> 8 * i));
}

static void pad(struct buffer *b, uint64_t alignment)
{
    while (alignment > 1 && b->size % alignment && !b->failed)
        buffer_append_u8(b, 0);
}

static int read_object(struct packer *p)
{
    cleanup_fclose FILE *file = fopen(p->path, "rb");

    if (!file)
        return complain(p, "cannot be opened");
    p->object = buffer_init(OBJECT_MAX);
    for (size_t n = 1; n > 0;) {
        uint8_t *room = buffer_reserve(&p->object, 4096);

        if (!room)
            return complain(p, "is larger than %u bytes", OBJECT_MAX);
        n = fread(room, 1, 4096, file);
        p->object.size += n;
    }
    return ferror(file) ? complain(p, "cannot be read") : 0;
}

static int read_header(struct packer *p)
{
    static const unsigned char ident[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB};
    Elf64_Ehdr *h = &p->header;

    if (!get(p, 0, h, sizeof *h) || memcmp(h->e_ident, ident, sizeof ident) != 0 || h->e_type != ET_REL ||
        h->e_machine != EM_BPF)
        return complain(p, "is not an object file of clang -target bpf");
    if (h->e_shnum == 0 || h->e_shnum > SECTIONS_MAX || h->e_shentsize != sizeof *p->sections ||
        !get(p, h->e_shoff, p->sections, h->e_shnum * sizeof *p->sections))
        return complain(p, "has a malformed table of sections");
    for (unsigned i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &p->sections[i];

        if (s->sh_type != SHT_NOBITS && (s->sh_size > p->object.size || s->sh_offset > p->object.size - s->sh_size))
            return complain(p, "is cut off in section %u", i);
    }
    return 0;
}

static int place_section(struct packer *p, unsigned index)
{
    const Elf64_Shdr *s = &p->sections[index];
    enum part part = s->sh_flags & SHF_EXECINSTR ? PART_TEXT : s->sh_flags & SHF_WRITE ? PART_DATA : PART_RODATA;
    struct buffer *b = &p->parts[part];

    if (!(s->sh_flags & SHF_ALLOC) || s->sh_size == 0)
        return 0;
    if (part == PART_TEXT && b->size)
        return complain(p, "has code in more than one section; only .text is possible");
    if (s->sh_addralign > 4096 || s->sh_size > RBPF_MAX_FILE)
        return complain(p, "section %s is too large", string_at(p, p->header.e_shstrndx, s->sh_name));
    pad(b, s->sh_addralign);
    p->part[index] = part;
    p->offset[index] = b->size;
    if (s->sh_type == SHT_NOBITS)
        for (uint64_t i = 0; i < s->sh_size; i++)
            buffer_append_u8(b, 0);
    else
        buffer_append(b, p->object.data + s->sh_offset, s->sh_size);
    return 0;
}

/* The address in an lddw: what the compiler put into it, plus where its symbol ended up. */
static int relocate_lddw(struct packer *p, uint64_t offset, const Elf64_Sym *symbol, const char *name)
{
    struct buffer *text = &p->parts[PART_TEXT];
    enum part part = symbol->st_shndx < p->header.e_shnum ? p->part[symbol->st_shndx] : PART_NONE;
    uint64_t address;
    uint32_t addend;

    if (text->size < 16 || offset > text->size - 16 || offset % RBPF_INSTRUCTION_SIZE ||
        text->data[offset] != RBPF_LDDW)
        return complain(p, "has a relocation at %llu that is not on an lddw", (unsigned long long)offset);
    if (part != PART_DATA && part != PART_RODATA)
        return complain(p, "uses %s, which is not defined in it or is a function", name);
    addend = (uint32_t)rbpf_instruction_at(text->data + offset, 0).immediate;
    address = p->offset[symbol->st_shndx] + symbol->st_value + addend;
    if (address > p->parts[part].size)
        return complain(p, "has an address outside of its data: %s + %u", name, addend);
    text->data[offset] = part == PART_DATA ? RBPF_LDDW_DATA : RBPF_LDDW_RODATA;
    for (unsigned i = 0; i < 4; i++) {
        text->data[offset + 4 + i] = (uint8_t)(address >> 8 * i);
        text->data[offset + 12 + i] = 0;
    }
    return 0;
}

static int relocate(struct packer *p, const Elf64_Shdr *section, const Elf64_Rel *rel)
{
    const Elf64_Shdr *symbols = &p->sections[section->sh_link < p->header.e_shnum ? section->sh_link : 0];
    uint64_t index = ELF64_R_SYM(rel->r_info);
    Elf64_Sym symbol;
    const char *name;

    if (index >= symbols->sh_size / sizeof symbol ||
        !get(p, symbols->sh_offset + index * sizeof symbol, &symbol, sizeof symbol))
        return complain(p, "has a relocation without a symbol");
    name = ELF64_ST_TYPE(symbol.st_info) == STT_SECTION
               ? string_at(p, p->header.e_shstrndx,
                           p->sections[symbol.st_shndx < p->header.e_shnum ? symbol.st_shndx : 0].sh_name)
               : string_at(p, symbols->sh_link, symbol.st_name);
    if (p->part[section->sh_info] != PART_TEXT)
        return complain(p, "keeps the address of %s in its data; rBPF can compute addresses in code only", name);
    if (ELF64_R_TYPE(rel->r_info) == R_BPF_64_32)
        return complain(p, "calls %s; rBPF has no calls within a program: inline it", name);
    if (ELF64_R_TYPE(rel->r_info) != R_BPF_64_64)
        return complain(p, "has a relocation of the unknown type %u", (unsigned)ELF64_R_TYPE(rel->r_info));
    return relocate_lddw(p, rel->r_offset, &symbol, name);
}

static int relocate_section(struct packer *p, const Elf64_Shdr *section)
{
    /* of sections that are not loaded, as those with debug information, nothing is kept */
    if (section->sh_type != SHT_REL || section->sh_info >= p->header.e_shnum || !p->part[section->sh_info])
        return 0;
    for (uint64_t at = 0; at + sizeof(Elf64_Rel) <= section->sh_size; at += sizeof(Elf64_Rel)) {
        Elf64_Rel rel;

        if (!get(p, section->sh_offset + at, &rel, sizeof rel) || relocate(p, section, &rel))
            return 1;
    }
    return 0;
}

/* Enters the global functions with their names, which go to the end of the rodata. */
static void add_functions(struct packer *p, const Elf64_Shdr *section)
{
    struct buffer *rodata = &p->parts[PART_RODATA];
    Elf64_Sym symbol;

    for (uint64_t at = 0; section->sh_type == SHT_SYMTAB && at + sizeof symbol <= section->sh_size;
         at += sizeof symbol) {
        if (!get(p, section->sh_offset + at, &symbol, sizeof symbol) || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC ||
            ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL)
            continue;
        put_le(&p->functions, (uint32_t)rodata->size, 2);
        put_le(&p->functions, 0, 2);
        put_le(&p->functions, (uint32_t)symbol.st_value, 2);
        p->function_count++;
        buffer_append_text(rodata, string_at(p, section->sh_link, symbol.st_name));
        buffer_append_u8(rodata, 0);
    }
}

static void assemble(struct packer *p, struct buffer *out)
{
    buffer_append(out, "rBPF", 4);
    put_le(out, 0, 4); /* version */
    put_le(out, 0, 4); /* flags */
    pad(&p->parts[PART_DATA], 8);
    pad(&p->parts[PART_RODATA], 8);
    put_le(out, (uint32_t)p->parts[PART_DATA].size, 4);
    put_le(out, (uint32_t)p->parts[PART_RODATA].size, 4);
    put_le(out, (uint32_t)p->parts[PART_TEXT].size, 4);
    put_le(out, p->function_count, 4);
    buffer_append(out, p->parts[PART_DATA].data, p->parts[PART_DATA].size);
    buffer_append(out, p->parts[PART_RODATA].data, p->parts[PART_RODATA].size);
    buffer_append(out, p->parts[PART_TEXT].data, p->parts[PART_TEXT].size);
    buffer_append(out, p->functions.data, p->functions.size);
}

static int pack(struct packer *p, struct buffer *out)
{
    char reason[128];

    if (read_object(p) || read_header(p))
        return 1;
    for (unsigned i = 0; i < p->header.e_shnum; i++)
        if (place_section(p, i))
            return 1;
    for (unsigned i = 0; i < p->header.e_shnum; i++)
        if (relocate_section(p, &p->sections[i]))
            return 1;
    for (unsigned i = 0; i < p->header.e_shnum; i++)
        add_functions(p, &p->sections[i]);
    assemble(p, out);
    if (out->failed || p->functions.failed || p->parts[PART_TEXT].failed || p->parts[PART_DATA].failed ||
        p->parts[PART_RODATA].failed)
        return complain(p, "is too large: an application has %u bytes at most", RBPF_MAX_FILE);
    return rbpf_check(out->data, out->size, NULL, reason, sizeof reason) ? complain(p, "%s", reason) : 0;
}

static int write_file(const char *path, const struct buffer *content)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(content->data, 1, content->size, file) == content->size;

    if (file && fclose(file) != 0)
        ok = false;
    if (!ok)
        (void)fprintf(stderr, "rbpf-pack: %s: cannot be written\n", path);
    return !ok;
}

int main(int argc, char **argv)
{
    struct packer *p = NULL;
    struct buffer out = buffer_init(RBPF_MAX_FILE);
    int r = 1;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: rbpf-pack OBJECT.o APPLICATION.rbpf\n");
        return 2;
    }
    p = calloc(1, sizeof *p);
    if (p) {
        p->path = argv[1];
        for (int i = 0; i < PART_COUNT; i++)
            p->parts[i] = buffer_init(RBPF_MAX_FILE);
        r = pack(p, &out) || write_file(argv[2], &out);
        for (int i = 0; i < PART_COUNT; i++)
            buffer_clear(&p->parts[i]);
        buffer_clear(&p->functions);
        buffer_clear(&p->object);
        free(p);
    }
    buffer_clear(&out);
    return r;
}
