/* SPDX-License-Identifier: Apache-2.0 */

/* A relabel rule and a label set out of lines of text: action, regex, replacement, target, then
 * labels. What a good rule makes of a good set is a good set. */
#include "base/assert.h"
#include "model/relabel.h"

enum { LABEL_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take_line(struct slice *rest)
{
    const char *line_end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    const size_t len = line_end == NULL ? rest->len : (size_t)(line_end - rest->data);
    const struct slice line = slice_of(rest->data, len);

    *rest = slice_skip(*rest, line_end == NULL ? len : len + 1);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relabel_spec spec = relabel_spec_default();
    struct slice rest = slice_of(data, size), sources[LABEL_MAX];
    struct relabel_config config;
    struct label_builder builder;
    struct arena arena;

    if (size > 4096)
        return 0;
    arena_init(&arena, NULL, 16 << 20);
    label_builder_init(&builder, &arena, (struct label_set){NULL, 0});
    spec.action = take_line(&rest);
    spec.regex = take_line(&rest);
    spec.replacement = take_line(&rest);
    spec.target_label = take_line(&rest);
    spec.scheme = size % 2 == 0 ? LABEL_SCHEME_UTF8 : LABEL_SCHEME_LEGACY;
    spec.modulus = size % 7;
    spec.source_labels = sources;
    while (rest.len != 0 && spec.source_label_count < LABEL_MAX) {
        const struct slice name = take_line(&rest), value = take_line(&rest);

        if (label_name_is_valid(name, spec.scheme))
            label_builder_set(&builder, name, value);
        sources[spec.source_label_count++] = name;
    }
    if (spec.action.len >= 5 && memcmp(spec.action.data, "label", 5) == 0)
        spec.source_label_count = 0;
    if (relabel_init(&config, &arena, &spec, NULL) == ERR_OK &&
        relabel_apply(&config, 1, &builder)) {
        const struct label_set set = label_builder_set_view(&builder);

        for (uint32_t i = 0; i < set.count; i++) {
            ASSERT(set.items[i].value.len != 0);
            ASSERT(i == 0 || slice_cmp(set.items[i - 1].name, set.items[i].name) < 0);
        }
    }
    arena_fini(&arena);
    return 0;
}
