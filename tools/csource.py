# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the list of files, C text without comments, and the functions in it.

The checks take the root of a tree as their argument (default: this project), so that their own
tests can hand them a small tree with one fault in it."""

import os
import re
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LIB = ["base", "model", "codec", "promtsdb", "storage", "net", "promql", "template", "objstore", "config",
       "discovery", "remote", "cluster"]
ROLES = ["scraper", "distributor", "ingester", "querier", "store_gateway", "compactor", "ruler",
         "alertmanager", "pushgateway"]
# Where our own C lies: folder of the tree -> name of the folder in includes.
CODE = {f"lib/{name}": name for name in LIB} | {name: name for name in ROLES} | {
    "proto": "proto", "main": "main", "client": "client", "exporters": "exporters"}

_SKIP = re.compile(r"^(\.git|build.*|data|\.cache|node_modules|__pycache__)$")


def files(root, *endings):
    """All files below root but builds and data, as paths relative to it, sorted."""
    found = []
    for folder, folders, names in os.walk(root):
        top = os.path.relpath(folder, root)
        folders[:] = sorted(f for f in folders if not (
            _SKIP.match(f) and (top == "." or f in ("node_modules", "__pycache__", ".cache"))))
        for name in names:
            if not endings or name.endswith(endings):
                found.append(os.path.normpath(os.path.join(top, name)))
    return sorted(found)


def folder_of(path):
    """The name under which a file's folder is included ("storage"), "tests", "bench", or None."""
    for folder, name in CODE.items():
        if path.startswith(folder + "/"):
            return name
    top = path.split("/")[0]
    return top if top in ("tests", "bench") else None


def code_files(root, *endings):
    """Our own C and C++: (path, folder name)."""
    for path in files(root, *(endings or (".c", ".h", ".cc"))):
        folder = folder_of(path)
        if folder is not None and not path.startswith("tests/data/"):
            yield path, folder


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def strip(text, keep_strings=False):
    """Without comments, and with strings emptied unless kept; lines stay where they are."""
    def replace(match):
        token = match.group()
        if token[0] == "/":
            return " " + "\n" * token.count("\n")
        return token if keep_strings else token[0] * 2
    return _TOKEN.sub(replace, text)


def includes(text):
    """(line, is system header, path) of each #include."""
    for number, line in enumerate(strip(text, keep_strings=True).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', line)
        if match:
            yield number, match.group(1) is not None, match.group(1) or match.group(2)


class Function:
    def __init__(self, name, line, line_end, params, is_static):
        self.name, self.line, self.line_end = name, line, line_end
        self.params, self.is_static = params, is_static

    @property
    def lines(self):
        return self.line_end - self.line + 1


def _params(text):
    """The parameters in the text between a function's parentheses."""
    parts, depth, current = [], 0, ""
    for char in text:
        depth += char in "([{"
        depth -= char in ")]}"
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    parts.append(current.strip())
    return [part for part in parts if part not in ("", "void")]


def _header(text):
    """(name, params, is static) if the text before a brace is a function's head, else None."""
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", text, flags=re.S).strip()
    match = re.search(r"\b([A-Za-z_]\w*)\s*\(", text)
    if match is None or not text.endswith((")", "MUST_USE", "noexcept", "override", "const")):
        return None
    before = text[:match.start()]
    if "=" in before or match.group(1) in ("if", "for", "while", "switch", "return", "sizeof"):
        return None
    depth, at = 0, match.end() - 1
    for end in range(at, len(text)):
        depth += text[end] == "("
        depth -= text[end] == ")"
        if depth == 0:
            return match.group(1), _params(text[at + 1:end]), bool(re.search(r"\bstatic\b", before))
    return None


def functions(text):
    """The function definitions at file level (in C++ also inside namespaces, extern "C" and
    classes)."""
    text = strip(text)
    # Preprocessor lines say nothing here; continued ones go with their first line.
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: "\n" * m.group().count("\n"), text,
                  flags=re.M | re.S)
    found, start, at, line = [], 0, 0, 1
    outer = []  # open namespaces, extern "C" and classes: is what they hold private to the file?
    while at < len(text):
        char = text[at]
        if char == "\n":
            line += 1
        elif char in ";":
            start = at + 1
        elif char == "}":
            outer = outer[:-1]
            start = at + 1
        elif char == "{":
            head = text[start:at]
            if re.search(r'\b(namespace|extern)\b[^=();]*$', head) or (
                    re.search(r"\b(class|struct)\b[^=()]*$", head) and outer):
                outer.append("extern" not in head)
                start = at + 1
            else:
                head = re.sub(r"^\s*(public|private|protected)\s*:", "", head)
                found_header = _header(head)
                first = line - head.lstrip().count("\n")
                depth = 0
                while at < len(text):
                    depth += text[at] == "{"
                    depth -= text[at] == "}"
                    line += text[at] == "\n"
                    if depth == 0:
                        break
                    at += 1
                if found_header:
                    name, params, is_static = found_header
                    # Members of a class in .cc override what a third party declares.
                    found.append(Function(name, first, line, params, is_static or any(outer)))
                    start = at + 1
                else:  # a struct, an enum, a table
                    start = at + 1
        at += 1
    return found


class Report:
    """Prints faults as path:line: text, and ends with one line and the exit status."""

    def __init__(self, name):
        self.name, self.count = name, 0

    def fault(self, path, line, text):
        self.count += 1
        print(f"{path}:{line}: {text}" if line else f"{path}: {text}")

    def finish(self):
        print(f"{self.name}: {self.count} faults" if self.count else f"{self.name}: ok")
        sys.exit(1 if self.count else 0)


def root_argument():
    return os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else PROJECT
