"""Turns docs/openapi.yaml into the C array of src/rest/openapi.h.   make_openapi.py INPUT OUTPUT"""
import hashlib
import json
import sys

import yaml


def main(source, target):
    with open(source, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    rows = [text[i : i + 24] for i in range(0, len(text), 24)]
    with open(target, "w", encoding="ascii") as out:
        out.write('#include "rest/openapi.h"\n\nconst unsigned char openapi_json[] = {\n')
        for row in rows:
            out.write("".join("%d," % byte for byte in row) + "\n")
        out.write("};\nconst size_t openapi_json_size = sizeof openapi_json;\n")
        out.write('const char openapi_tag[] = "\\"%s\\"";\n' % hashlib.sha256(text).hexdigest()[:32])


main(*sys.argv[1:])
