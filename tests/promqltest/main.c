/* SPDX-License-Identifier: Apache-2.0 */

/* promqltest [-v] [--expect-min N] FILE...: runs PromQL test scripts. Ends with 1 if any case
 * fails; with --expect-min, if fewer than N pass. */

#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "promqltest/script.h"

int main(int argc, char **argv)
{
    struct script_options options = {0};
    struct script_counts counts = {0};
    uint64_t expected_min = UINT64_MAX;
    int i = 1;
    bool ok = true;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            options.is_verbose = true;
        } else if (strcmp(argv[i], "--expect-min") != 0 || i + 1 == argc ||
                   number_parse_uint64(slice_from_cstr(argv[++i]), &expected_min) != ERR_OK) {
            fprintf(stderr, "usage: promqltest [-v] [--expect-min N] FILE...\n");
            return 2;
        }
    }
    for (; i < argc; i++) {
        struct script_counts before = counts;

        ok &= script_run(argv[i], &options, &counts);
        if (counts.failed != before.failed)
            printf("%s: %u passed, %u failed (%u not supported yet)\n", argv[i],
                   counts.passed - before.passed, counts.failed - before.failed,
                   counts.unsupported - before.unsupported);
    }
    printf("%u passed, %u failed\n", counts.passed, counts.failed);
    if (expected_min != UINT64_MAX)
        return ok && counts.passed >= expected_min ? 0 : 1;
    return ok && counts.failed == 0 ? 0 : 1;
}
