/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What unit tests share beyond cmocka: checks that print what they compared. Include this one
 * header instead of cmocka.h: it brings what cmocka needs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"
#include "model/sample.h"

/* Fails unless `call` returns `want`; prints both codes and the call. */
#define check_err(want, call) check_err_at((want), (call), NULL, #call, __FILE__, __LINE__)
/* The same, and prints info's message. */
#define check_err_info(want, call, info)                                                           \
    check_err_at((want), (call), (info), #call, __FILE__, __LINE__)

/* Fails unless both hold the same samples, values compared by their bits. */
#define check_samples(want, want_count, got, got_count)                                            \
    check_samples_at((want), (want_count), (got), (got_count), __FILE__, __LINE__)

/* Fails unless the slice holds exactly the text of `want`. */
#define check_slice(want, got) check_slice_at(slice_from_cstr(want), (got), __FILE__, __LINE__)

/* Fails unless info's message contains `part`. */
#define check_message(part, info) check_message_at((part), (info), __FILE__, __LINE__)

void check_err_at(enum err want, enum err got, const struct err_info *info, const char *call,
                  const char *file, int line);
void check_samples_at(const struct sample *want, size_t want_count, const struct sample *got,
                      size_t got_count, const char *file, int line);
void check_slice_at(struct slice want, struct slice got, const char *file, int line);
void check_message_at(const char *part, const struct err_info *info, const char *file, int line);
