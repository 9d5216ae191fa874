/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <inttypes.h>
#include <string.h>

void check_err_at(enum err want, enum err got, const struct err_info *info, const char *call,
                  const char *file, int line)
{
    if (want == got)
        return;
    print_error("%s\n  wanted: %s\n  got:    %s\n", call, err_text(want), err_text(got));
    if (info != NULL && info->message[0] != '\0')
        print_error("  message: %s\n", info->message);
    _fail(file, line);
}

void check_samples_at(const struct sample *want, size_t want_count, const struct sample *got,
                      size_t got_count, const char *file, int line)
{
    const size_t count = want_count < got_count ? want_count : got_count;

    for (size_t i = 0; i < count; i++) {
        const uint64_t want_bits = sample_value_bits(want[i].v);
        const uint64_t got_bits = sample_value_bits(got[i].v);

        if (want[i].t_ms == got[i].t_ms && want_bits == got_bits)
            continue;
        print_error("sample %zu of %zu\n  wanted: %" PRId64 " %.17g (%016" PRIx64 ")\n"
                    "  got:    %" PRId64 " %.17g (%016" PRIx64 ")\n",
                    i, want_count, want[i].t_ms, want[i].v, want_bits, got[i].t_ms, got[i].v,
                    got_bits);
        _fail(file, line);
    }
    if (want_count != got_count) {
        print_error("wanted %zu samples, got %zu\n", want_count, got_count);
        _fail(file, line);
    }
}

void check_slice_at(struct slice want, struct slice got, const char *file, int line)
{
    if (slice_eq(want, got))
        return;
    print_error("  wanted: \"%.*s\"\n  got:    \"%.*s\"\n", SLICE_ARG(want), SLICE_ARG(got));
    _fail(file, line);
}

void check_message_at(const char *part, const struct err_info *info, const char *file, int line)
{
    if (strstr(info->message, part) != NULL)
        return;
    print_error("the message\n  \"%s\"\ndoes not contain\n  \"%s\"\n", info->message, part);
    _fail(file, line);
}
