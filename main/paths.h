/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is looked at before a path is used, so that a person reads the system's own words
 * ("permission denied", "is a directory") where the codes of base/err.h say only "input/output
 * error". */

#include "base/err.h"

/* Whether a file can be read. It may still fail when it is opened. */
enum err paths_check_file(const char *path, struct err_info *info) MUST_USE;

/* Whether a directory can be written to, or made where it is missing. */
enum err paths_check_data_dir(const char *path, struct err_info *info) MUST_USE;
