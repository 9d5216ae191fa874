/* SPDX-License-Identifier: Apache-2.0 */
#include "model/appender.h"

static const char *const append_labels[] = {
#define XX(name, retry, label, text) [APPEND_##name] = label,
    APPEND_VERDICT_LIST(XX)
#undef XX
};

static const char *const append_texts[] = {
#define XX(name, retry, label, text) [APPEND_##name] = text,
    APPEND_VERDICT_LIST(XX)
#undef XX
};

const char *append_verdict_label(enum append_verdict verdict)
{
    ASSERT((unsigned)verdict < APPEND_VERDICT_COUNT);
    return append_labels[verdict];
}

const char *append_verdict_text(enum append_verdict verdict)
{
    ASSERT((unsigned)verdict < APPEND_VERDICT_COUNT);
    return append_texts[verdict];
}
