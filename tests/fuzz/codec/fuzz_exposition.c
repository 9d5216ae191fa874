/* SPDX-License-Identifier: Apache-2.0 */

/* A scraped page, its first byte choosing the format. Every series is taken apart; one whose labels
 * are good is read again from its raw text alone and must give the same. */
#include "base/assert.h"
#include "codec/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct exposition *p, const struct exposition_entry *entry,
                        struct label_set want, struct arena *arena)
{
    struct exposition_entry copy = *entry;
    struct label_set got;

    copy.series = arena_copy(arena, entry->series);
    if (copy.series.data == NULL || exposition_labels(p, &copy, arena, &got, NULL) == ERR_LIMIT)
        return;
    ASSERT(exposition_labels(p, &copy, arena, &got, NULL) == ERR_OK);
    ASSERT(label_set_eq(want, got));
    ASSERT(label_set_check(got, LABEL_SCHEME_UTF8, NULL) == ERR_OK);
    ASSERT(label_set_has(got, SLICE(LABEL_METRIC_NAME)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exposition_options options = {.scheme = LABEL_SCHEME_UTF8};
    struct exposition p;
    struct exposition_entry entry;
    struct exemplar exemplar;
    struct label_set labels;
    struct arena arena;

    if (size == 0)
        return 0;
    options.format = data[0] == 'o' ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
    arena_init(&arena, NULL, 64 << 20);
    exposition_init(&p, slice_of(data + 1, size - 1), &options);
    while (exposition_next(&p, &entry)) {
        if (entry.kind != EXPOSITION_SERIES) {
            (void)exposition_text(&p, &entry, &arena);
            continue;
        }
        if (exposition_labels(&p, &entry, &arena, &labels, NULL) == ERR_OK &&
            label_set_has(labels, SLICE(LABEL_METRIC_NAME)))
            check_again(&p, &entry, labels, &arena);
        if (entry.exemplar.len != 0)
            (void)!exposition_exemplar(&entry, &arena, &exemplar, NULL);
    }
    arena_fini(&arena);
    return 0;
}
