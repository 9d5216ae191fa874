/* SPDX-License-Identifier: Apache-2.0 */

/* What the interfaces between roles and the limits bring as code: verdicts, annotations, the check
 * that a query should go on. */
#include <stdio.h>

#include "model/appender.h"
#include "model/limits.h"
#include "model/source.h"
#include "support/check.h"

static void test_verdicts(void **state)
{
    (void)state;
    assert_string_equal("out_of_order", append_verdict_label(APPEND_OUT_OF_ORDER));
    assert_string_equal("out of order sample", append_verdict_text(APPEND_OUT_OF_ORDER));
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        assert_true(append_verdict_label((enum append_verdict)i)[0] != '\0');
    assert_true(append_verdict_stored(APPEND_DUPLICATE_SAME));
    assert_false(append_verdict_stored(APPEND_RETRY));
}

static void test_annotations(void **state)
{
    struct annotations annotations = {0};
    struct arena arena;
    char text[20];

    (void)state;
    arena_init(&arena, NULL, 0);
    annotations.arena = &arena;
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "text %d", i % 2000);
        annotations_add(&annotations, i % 2 == 0, slice_from_cstr(text));
    }
    assert_int_equal(1000, annotations.warning_count + annotations.info_count);
    check_slice("text 0", annotations.first->text);
    assert_true(annotations.first->is_warning);
    check_slice("text 1", annotations.first->next->text);
    arena_fini(&arena);
}

static uint64_t clock_now(void *owner)
{
    return *(uint64_t *)owner;
}

static void test_ctx_check(void **state)
{
    _Atomic bool cancelled = false;
    uint64_t now = 5;
    struct source_ctx ctx = {.cancelled = &cancelled};

    (void)state;
    check_err(ERR_OK, source_ctx_check(&ctx));
    ctx.deadline_ns = 10;
    check_err(ERR_OK, source_ctx_check(&ctx));
    ctx.mono_ns = clock_now;
    ctx.mono_owner = &now;
    check_err(ERR_OK, source_ctx_check(&ctx));
    now = 10;
    check_err(ERR_DEADLINE, source_ctx_check(&ctx));
    cancelled = true;
    check_err(ERR_CANCELLED, source_ctx_check(&ctx));
}

static void test_limits(void **state)
{
    const struct label labels[] = {{SLICE("abc"), SLICE("12345")}, {SLICE("d"), SLICE("1")}};
    const struct label_set set = {labels, 2};
    struct limits limits = limits_default();
    struct err_info info = {0};

    (void)state;
    check_err(ERR_OK, limits_check_labels(&limits, set, &info));
    limits.label_value_size_max = 4;
    check_err(ERR_LIMIT, limits_check_labels(&limits, set, &info));
    check_message("value of label \"abc\" has 5 bytes, the limit is 4", &info);
    info = (struct err_info){0};
    limits.label_name_size_max = 2;
    check_err(ERR_LIMIT, limits_check_labels(&limits, set, &info));
    check_message("label name \"abc\" has 3 bytes, the limit is 2", &info);
    info = (struct err_info){0};
    limits.label_count_max = 1;
    check_err(ERR_LIMIT, limits_check_labels(&limits, set, &info));
    check_message("series has 2 labels, the limit is 1", &info);
    limits = (struct limits){0};
    check_err(ERR_OK, limits_check_labels(&limits, set, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_ctx_check),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
