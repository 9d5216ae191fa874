/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs test scripts of the PromQL test language: load, clear and eval commands, each a line with a
 * block of lines under it. Every instant query is run again with its times pinned by @, at several
 * times, and as the middle step of a range query, unless it speaks of its own range. */

#include <stdbool.h>
#include <stdint.h>

struct script_counts {
    uint32_t passed, failed;
    uint32_t unsupported; /* of the failed: refused as not supported yet */
};

struct script_options {
    bool is_verbose; /* prints unsupported ones too */
};

/* Prints what fails, with file and line. False: the file cannot be read. */
bool script_run(const char *path, const struct script_options *options,
                struct script_counts *counts);
