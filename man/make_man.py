"""Makes manual pages of section 7.

make_man.py rest OPENAPI OUTPUT     tcgw-rest(7), of the contract
make_man.py text NAME TITLE MARKDOWN OUTPUT     NAME(7), of a page of docs/
"""
import os
import re
import sys

import yaml

SEE_ALSO = ("tcgw (1)", "tcgwd (8)", "tcagent (1)", "tcgw.conf (5)", "tcgw-rest (7)", "tcgw-device-protocol (7)")


def escape(text):
    """Text that no line of which is taken for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def inline(text):
    """Code and strong words in bold, links as their text."""
    text = re.sub(r"\[([^\]]+)\]\((?!http)[^)]*\)", r"\1", text)
    out = ""
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text):
        if part.startswith("`") and len(part) > 1:
            out += "\\fB" + escape(part[1:-1]) + "\\fR"
        elif part.startswith("**"):
            out += "\\fB" + escape(part[2:-2]) + "\\fR"
        else:
            out += escape(part).removeprefix("\\&") if out else escape(part)
    return out


class Page:
    def __init__(self, name, title):
        self.lines = [f'.TH "{name.upper()}" 7 "" "tcgw" "tcgw manual"', ".nh", ".ad l", ".SH NAME", f"{escape(name)} \\- {escape(title)}"]
        self.name = name

    def section(self, title, level=1):
        title = title.replace("`", "").replace("**", "").replace('"', "")
        self.lines.append((".SH " if level == 1 else ".SS ") + '"' + escape(title.upper() if level == 1 else title) + '"')

    def paragraph(self, text):
        self.lines += [".PP", inline(" ".join(text.split()))]

    def item(self, term, text):
        self.lines += [".TP", inline(term) or "\\&", inline(" ".join(text.split())) or "\\&"]

    def bullet(self, text):
        self.lines += [".IP \\(bu 2", inline(" ".join(text.split()))]

    def block(self, lines):
        self.lines += [".PP", ".nf", ".RS 2"] + [escape(line) or "\\&" for line in lines] + [".RE", ".fi"]

    def table(self, rows):
        """The first column is the term; what stands in the others goes behind it. A row without a first one belongs to
        the one before."""
        head, rows = rows[0], rows[2:]
        if any(cell for cell in head):
            self.paragraph("**" + " | ".join(cell or "..." for cell in head) + "**")
        for first, *rest in rows:
            self.item(first, "; ".join(cell for cell in rest if cell))

    def write(self, path):
        others = [page.split() for page in SEE_ALSO if page.split()[0] != self.name]
        self.section("SEE ALSO")
        self.lines += [f".BR {escape(page)} {section}{',' if i + 1 < len(others) else ''}"
                       for i, (page, section) in enumerate(others)]
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")


# Markdown, as docs/ has it

def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def convert(page, text):
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        line = lines[i]
        begin = i
        if line.startswith("```"):
            i += 1
            while not lines[i].startswith("```"):
                i += 1
            page.block(lines[begin + 1:i])
            i += 1
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            if level > 1:
                page.section(line.lstrip("# "), 1 if level == 2 else 2)
            i += 1
        elif line.startswith("|"):
            while i < len(lines) and lines[i].startswith("|"):
                i += 1
            page.table([cells(row) for row in lines[begin:i]])
        elif not line.strip():
            i += 1
        else:
            bullet = re.match(r"(- |\d+\. )", line)
            i += 1
            while i < len(lines) and lines[i].strip() and not re.match(r"\s*(- |\d+\. |```|#|\|)", lines[i]):
                i += 1
            body = " ".join(lines[begin:i])
            if bullet:
                page.bullet(body[bullet.end():])
            else:
                page.paragraph(body.strip().removeprefix("- "))


def make_text(name, title, source, target):
    page = Page(name, title)
    with open(source, encoding="utf-8") as file:
        text = file.read()
    page.section("DESCRIPTION")
    convert(page, text)
    page.write(target)


# The contract

def resolve(document, value):
    while isinstance(value, dict) and "$ref" in value:
        target = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        value = target
    return value


def describe(document, operation, shared):
    parts = [operation["summary"].rstrip(".") + "."]
    if operation.get("description"):
        parts.append(operation["description"])
    for parameter in operation.get("parameters", []) + shared:
        parameter = resolve(document, parameter)
        if parameter["in"] == "query":
            parts.append(f"`?{parameter['name']}=`" + (": " + parameter["description"].rstrip(".") if
                                                       parameter.get("description") else "") + ".")
    body = resolve(document, operation.get("requestBody", {})).get("content")
    if body:
        parts.append("Takes " + ", ".join(f"`{kind}`" for kind in body) + ".")
    codes = [str(code) for code in operation["responses"] if code != "default"]
    parts.append("Answers " + ", ".join(codes) + ".")
    return " ".join(parts)


def make_rest(source, target):
    with open(source, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    page = Page("tcgw-rest", "REST interface of the TinyContainer gateway")
    page.section("DESCRIPTION")
    convert(page, document["info"].get("description", ""))
    page.paragraph("tcgwd serves it on its Unix socket (`http.socket`) and where `http.listen` says: "
                   "`curl --unix-socket /run/tcgw/tcgw.sock http://localhost/v1/devices`. The same contract for programs "
                   "is at `/openapi.json`. Errors are problem details (RFC 9457); their types are listed at the end.")
    for tag in [*[tag["name"] for tag in document.get("tags", [])], None]:
        rows = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if method in ("get", "put", "post", "patch", "delete") and \
                        (operation.get("tags") or [None])[0] == tag:
                    rows.append((f"{method.upper()} {path}", describe(document, operation,
                                                                      methods.get("parameters", []))))
        if rows:
            page.section(tag or "others")
        for term, text in rows:
            page.item(f"`{term}`", text)
    slugs = sorted({slug for schema in document["components"]["schemas"].values() for slug in
                    re.findall(r"https://tcgw\.dev/problems/([a-z-]+)", str(schema))})
    if slugs:
        page.section("PROBLEM TYPES")
        page.paragraph("Each begins with https://tcgw.dev/problems/: " + ", ".join(f"`{slug}`" for slug in slugs) + ".")
    page.write(target)


if __name__ == "__main__":
    {"rest": make_rest, "text": make_text}[sys.argv[1]](*sys.argv[2:])
