#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks refuse what they should: each case is a tree of one bad file and the text that must
be said about it; and a good tree passes them all."""

import os
import subprocess
import sys
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(PROJECT, "tools"))
import csource  # noqa: E402

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
LONG = "static int long_one(void)\n{\n" + "    x++;\n" * 70 + "}\n"

GOOD = SPDX + '''#include "codec/good.h"

#include <string.h>

#include "base/err.h"

/* strcpy(in, a comment) is nothing, nor is #include "storage/wal.h" here. */
enum err good_run(const char *text, struct good *good)
{
    if (text[0] == '"' || text[0] == '{')
        return good_fail("strcpy(in, a string) // {");
    return ERR_OK;
}
'''

# check, path of the bad file, its text, what must be said
BAD = [
    ("check_layers", "lib/base/x.c", '#include "model/labels.h"', "base may include nothing"),
    ("check_layers", "lib/promql/x.c", '#include "storage/head.h"', "promql may include"),
    ("check_layers", "scraper/x.c", '#include "querier/querier.h"', "roles never include"),
    ("check_layers", "lib/codec/x.c", '#include "x.h"', "start at the library root"),
    ("check_layers", "lib/storage/x.c", "#include <uv.h>", "reached through net only"),
    ("check_layers", "lib/model/x.c", "#include <re2/re2.h>", "reached through base only"),
    ("check_layers", "lib/storage/x.c", '#include "codec/y_internal.h"', "private to codec"),
    ("check_layers", "lib/promql/x.c", "#include <pthread.h>", "promql is pure"),
    ("check_layers", "lib/base/x.c", "#include <libpq-fe.h>", "not in the table"),
    ("check_size", "lib/base/x.c", LONG, "long_one has 73 lines"),
    ("check_size", "lib/base/x.c", "int x;\n" * 1000, "at most 1000"),
    ("check_size", "lib/base/x.h", "#pragma once\n" + "int x;\n" * 300, "at most 300"),
    ("check_size", "lib/base/x.h", "int x;", "pragma once"),
    ("check_size", "lib/base/x.c", "void x_do(int a, int b, int c, int d, int e, int f)\n{\n}\n",
     "6 parameters"),
    ("check_banned", "lib/base/x.c", "void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy: write"),
    ("check_banned", "lib/codec/x.c", "void f(void)\n{\n    p = malloc(3);\n}\n", "base/mem.h"),
    ("check_banned", "lib/codec/x.c", "void f(void)\n{\n    uv_run(loop);\n}\n", "net/reactor.h"),
    ("check_banned", "lib/storage/x.c", "void f(void)\n{\n    t = time(NULL);\n}\n", "clock"),
    ("check_banned", "lib/net/x.c", "/* " + "TO" + "DO: later */", "finish it"),
    ("check_banned", "lib/net/x.c", "typedef struct {\n    int a;\n} a_t;", "no typedef"),
    ("check_banned", "lib/net/x.c", "void f(void)\n{\n    goto fail;\n}\n", "one label"),
    ("check_words", "docs/x.md", "See /ho" + "me/me/file.", "a path of one machine"),
    ("check_words", "docs/x.md", "As iss" + "ue 12 says.", "a tracker's number"),
]


def run(check, root):
    result = subprocess.run([sys.executable, os.path.join(PROJECT, "tools", check), root],
                            capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout + result.stderr


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Checks(unittest.TestCase):
    def test_good_tree_passes(self):
        with tempfile.TemporaryDirectory() as root:
            write(root, "lib/codec/good.c", GOOD)
            for check in sorted({case[0] for case in BAD}):
                status, output = run(check, root)
                self.assertEqual(status, 0, output)

    def test_bad_trees_are_refused(self):
        for check, path, text, said in BAD:
            with self.subTest(check=check, said=said), tempfile.TemporaryDirectory() as root:
                write(root, "lib/codec/good.c", GOOD)
                write(root, path, SPDX + text + "\n")
                status, output = run(check, root)
                self.assertEqual(status, 1, output)
                self.assertIn(said, output)

    def test_exceptions_only_shrink(self):
        with tempfile.TemporaryDirectory() as root:
            write(root, "lib/base/x.c", SPDX + LONG)
            write(root, "tools/size_exceptions", "lib/base/x.c long_one 73\n")
            self.assertEqual(run("check_size", root)[0], 0)
            write(root, "tools/size_exceptions", "lib/base/x.c long_one 80\n")
            self.assertIn("lower or drop", run("check_size", root)[1])
            write(root, "tools/size_exceptions", "lib/base/x.c gone 80\nlib/base/x.c long_one 73\n")
            self.assertIn("has no gone", run("check_size", root)[1])


class Functions(unittest.TestCase):
    def test_found(self):
        text = '''
struct point {
    int x;
};
static const struct entry table[] = {
    {"a", f(1)},
};
#define LOOP(x) \\
    for (;;) {
int a(void)
{
    if (1) {
    }
}
static struct slice b(const char *text,
                      void (*fn)(int, int), int n)
{
}
extern "C" {
void c(int x) {}
}
namespace {
class File : public Base
{
  public:
    Status Read(int a, int b) override
    {
    }
};
} // namespace
'''
        got = [(f.name, f.lines, len(f.params), f.is_static) for f in csource.functions(text)]
        self.assertEqual(got, [("a", 5, 0, False), ("b", 4, 3, True), ("c", 1, 1, False),
                               ("Read", 3, 2, True)])

    def test_strip_keeps_lines(self):
        text = 'a /* x\ny */ b "/*" c // d\ne'
        self.assertEqual(csource.strip(text), 'a  \n b "" c  \ne')


if __name__ == "__main__":
    unittest.main()
